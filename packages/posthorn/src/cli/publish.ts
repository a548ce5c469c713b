import { hostname } from 'node:os';
import { stdout } from 'node:process';
import { cloudEvents, type EnvelopeCodec, Publisher } from '@posthorn/messaging';
import { signerOf } from './keys.ts';
import { open } from './open.ts';
import { type CommandLine, duration, jsonOf } from './options.ts';
import { UsageError } from './usage.ts';

/** Prints what became of the message, and fails with the reason when the broker does not have it. */
export async function publish({ words, options }: CommandLine): Promise<void> {
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
