import { hostname } from 'node:os';
import { stdout } from 'node:process';
import { cloudEvents, type EnvelopeCodec, Publisher } from '@posthorn/messaging';
import { CONNECTING, type Command } from './help.ts';
import { signerOf } from './keys.ts';
import { open } from './open.ts';
import { type CommandLine, duration, jsonOf } from './options.ts';
import { UsageError } from './usage.ts';

export const publish: Command = {
  name: 'publish',
  synopsis: '<url> <exchange> <routing-key> [json]',
  words: [3, 4],
  summary: 'publishes a message to subscribers',
  about:
    'Prints what became of the message as JSON, { status, messageId }, and fails with the reason where the broker does not have it or, on transports that can tell, where nobody subscribes.',
  options: [
    'type',
    'type-version',
    'publisher-id',
    'delay',
    'ttl',
    'cloud-events',
    'sign-key',
    ['timeout', 'for the confirm of the broker; default 30s'],
    ...CONNECTING,
  ],
  examples: [
    `posthorn publish rabbit://localhost metering disk.sda '{"free": 7}' --type disk.usage --ttl 1m`,
    `posthorn publish rabbit://localhost metering disk.sda --sign-key host1:env:KEY`,
  ],
  run: publishOne,
};

/** Prints what became of the message, and fails with the reason when the broker does not have it. */
async function publishOne({ words, options }: CommandLine): Promise<void> {
  const [url = '', exchange = '', key = '', json = '{}'] = words;
  const { type: messageType = key, 'type-version': version = '1.0' } = options;
  const payload = jsonOf('the payload', json);
  const ttlMs = duration('--ttl', options.ttl);
  const delayMs = duration('--delay', options.delay);
  const timeoutMs = duration('--timeout', options.timeout);
  const signer = signerOf(options['sign-key']);
  const envelope = envelopeOf(options['cloud-events']);
  const transport = await open(url, options);
  try {
    const publisher = new Publisher(transport, {
      exchange,
      publisherId: options['publisher-id'] ?? `posthorn.${hostname()}`,
      ...(signer && { signer }),
      ...(envelope && { envelope }),
      ...(timeoutMs !== undefined && { backPressure: { policy: 'wait', timeoutMs } }),
    });
    // Who will listen when a delay is over nobody knows now; nor does every broker tell at once who listens.
    const canFail = delayMs === undefined && transport.features.unroutable === 'detected';
    const { status, messageId, error } = await publisher.publish(
      { messageType, version, payload },
      {
        key,
        unrouted: canFail ? 'fail' : 'drop',
        ...(ttlMs !== undefined && { ttlMs }),
        ...(delayMs !== undefined && { delayMs }),
      },
    );
    stdout.write(`${JSON.stringify({ status, messageId })}\n`);
    if (error !== undefined) throw error;
  } finally {
    await transport.close();
  }
}

function envelopeOf(mode: string | undefined): EnvelopeCodec | undefined {
  if (mode === undefined) return undefined;
  if (mode === 'structured' || mode === 'binary') return cloudEvents({ mode });
  throw new UsageError(`--cloud-events: "${mode}" is neither structured nor binary`);
}
