import { NotifyLab } from '@posthorn/conformance';
import { oslo } from '@posthorn/oslo';
import type { TransportUnderTest } from '../transports.ts';

const inner = (more: object): object => ({
  message_id: 'm',
  publisher_id: 'p',
  event_type: 'bad',
  priority: 'INFO',
  payload: {},
  timestamp: '2026-11-20 22:13:31.688801',
  _unique_id: 'u',
  ...more,
});

const enveloped = (version: string, more: object = {}): string =>
  JSON.stringify({ 'oslo.version': version, 'oslo.message': JSON.stringify(inner(more)) });

const BAD: readonly { readonly what: string; readonly body: string; readonly reason: RegExp }[] = [
  { what: 'an undecodable body', body: '{"half', reason: /^MALFORMED: the body is not JSON/ },
  {
    what: 'an unknown priority',
    body: enveloped('2.0', { priority: 'SHOUT' }),
    reason: /^MALFORMED: unknown priority SHOUT/,
  },
  {
    what: 'an unknown envelope version',
    body: enveloped('3.0'),
    reason: /^MALFORMED: the envelope has version 3\.0/,
  },
];

/** What a listener on the oslo wire cannot understand. */
export function describeBadOslo(transport: TransportUnderTest): void {
  for (const { what, body, reason } of BAD)
    it(`immunity 7: ${what} (oslo) is logged once with where it came from, dead-lettered, and blocks nothing`, async () => {
      await using lab = new NotifyLab(transport);
      const on = await lab.connect({ wire: oslo() });
      const bad = {
        messageId: 'bad-1',
        contentType: 'application/json',
        contentEncoding: 'utf-8',
        body: Buffer.from(body),
        headers: {},
      };
      await lab.expectBuried(bad, reason, { on, group: `${lab.topic}.info` });
    });
}
