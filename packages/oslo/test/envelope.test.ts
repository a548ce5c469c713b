import { deflateSync, gzipSync } from 'node:zlib';
import { MalformedError, type Message } from '@posthorn/core';
import { expect } from 'chai';
import { packContext, seal, unpackContext, unseal } from '../src/envelope.ts';
import { enveloped } from './support.ts';

const bodyOf = (text: string | Buffer): Message => ({ body: Buffer.from(text) });

describe('the envelope', () => {
  it('is JSON text inside of JSON, version 2.0', () => {
    const { body, contentType, contentEncoding } = seal({ a: 'é', n: Number.NaN });
    expect(Buffer.from(body).toString()).to.equal(
      '{"oslo.version":"2.0","oslo.message":"{\\"a\\":\\"é\\",\\"n\\":NaN}"}',
    );
    expect({ contentType, contentEncoding }).to.deep.equal({
      contentType: 'application/json',
      contentEncoding: 'utf-8',
    });
  });

  it('gives back what was put into it', () => {
    const inner = { a: [1, null, 'é'], big: 2n ** 70n, nan: Number.NaN };
    expect(unseal(seal(inner))).to.deep.equal(inner);
  });

  it('may be missing: then the body is the message', () => {
    for (const inner of [{ method: 'x' }, { 'oslo.version': '2.0' }, { 'oslo.message': '{}' }, {}])
      expect(unseal(bodyOf(JSON.stringify(inner)))).to.deep.equal(inner);
  });

  it('must have version 2.0', () => {
    expect(unseal(enveloped({ a: 1 }, '2.0'))).to.deep.equal({ a: 1 });
    for (const version of ['2.1', '1.9', '1.0', '3.0', '', 'two', 2, null, ['2.0']])
      expect(() => unseal(enveloped({}, version)), String(version)).to.throw(MalformedError, /version/);
  });

  it('must be an object with an object in it', () => {
    const wrong = ['', '{', '[]', '"text"', '7', 'null', 'NaN', '\ufffd', '{"oslo.version":"2.0","oslo.message":{}}'];
    const inside = ['', '{', '[]', '"text"', 'null'].map((text) =>
      JSON.stringify({ 'oslo.version': '2.0', 'oslo.message': text }),
    );
    for (const text of [...wrong, ...inside]) expect(() => unseal(bodyOf(text)), text).to.throw(MalformedError);
  });

  it('is read when compressed with zlib, which kombu calls gzip', () => {
    const { body } = enveloped({ a: 'b'.repeat(1_000) });
    const headers = { compression: 'application/x-gzip' };
    expect(unseal({ body: deflateSync(body), headers })).to.deep.equal({ a: 'b'.repeat(1_000) });
    for (const wrong of [body, gzipSync(body), Buffer.alloc(0), deflateSync(body).subarray(0, 20)])
      expect(() => unseal({ body: wrong, headers })).to.throw(MalformedError, /compressed body/);
  });

  it('is refused with a compression that nobody knows', () => {
    const { body } = enveloped({});
    for (const compression of ['application/x-bz2', 'zstd', '', 7])
      expect(() => unseal({ body, headers: { compression } })).to.throw(MalformedError, /unknown compression/);
  });

  it('is refused when it unfolds to more than 16 MiB', () => {
    const body = deflateSync(Buffer.alloc(17 * 1024 * 1024, ' '));
    expect(body.length).to.be.below(20_000);
    const message = { body, headers: { compression: 'application/x-gzip' } };
    expect(() => unseal(message)).to.throw(MalformedError, /compressed body/);
  });

  it('is read from the part of a buffer that the body is', () => {
    const { body } = enveloped({ a: 1 });
    const around = Buffer.concat([Buffer.from('xx'), body, Buffer.from('yy')]);
    const part = new Uint8Array(around.buffer, around.byteOffset + 2, body.length);
    expect(unseal({ body: part })).to.deep.equal({ a: 1 });
    const headers = { compression: 'application/x-gzip' };
    const zipped = Buffer.concat([Buffer.from('xx'), deflateSync(body)]);
    expect(unseal({ body: zipped.subarray(2), headers })).to.deep.equal({ a: 1 });
  });
});

describe('the context', () => {
  it('has a key for each entry, and comes back from among the others', () => {
    const context = { user: 'u1', tags: ['a'], none: null, _context_: 1, '': 2 };
    const packed = { method: 'x', _msg_id: 'y' };
    packContext(context, packed);
    expect(Object.keys(packed)).to.include.members(['method', '_context_user', '_context_tags', '_context_none']);
    expect(unpackContext(packed)).to.deep.equal(context);
  });

  it('may have an entry named like a prototype, and changes none', () => {
    const context = unpackContext(JSON.parse('{"_context___proto__": {"polluted": 1}}'));
    expect(Object.getPrototypeOf(context)).to.equal(Object.prototype);
    expect(Object.keys(context)).to.deep.equal(['__proto__']);
  });
});
