import { expect } from 'chai';

/** The message inside an envelope that must be exactly oslo.messaging's envelope 2.0. */
export function innerOf(body: Buffer | undefined): Record<string, unknown> {
  const { 'oslo.message': text, ...rest } = JSON.parse(String(body)) as Record<string, unknown>;
  expect(rest).to.deep.equal({ 'oslo.version': '2.0' });
  expect(text).to.be.a('string');
  return JSON.parse(String(text));
}
