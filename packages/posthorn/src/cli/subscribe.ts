import { stderr, stdout } from 'node:process';
import { serial } from '@posthorn/core';
import { type ReceivedMessage, type Refusal, Subscriber } from '@posthorn/messaging';
import { CONNECTING, type Command } from './help.ts';
import { verifierOf } from './keys.ts';
import { open, stopped } from './open.ts';
import type { CommandLine } from './options.ts';
import { printable, printed } from './print.ts';

export const subscribe: Command = {
  name: 'subscribe',
  synopsis: '<url> <exchange> <pattern>',
  words: [3, 3],
  summary: 'prints messages, until SIGINT or SIGTERM',
  about:
    'Prints a line for each message whose routing key matches the pattern, where * is one word and # any number: JSON, but a form for people on a terminal without --json. Without --group it gets a copy of everything while it is there.',
  options: ['group', 'verify-key', ...CONNECTING],
  examples: ["posthorn subscribe rabbit://localhost metering 'disk.#' --verify-key host1:env:KEY"],
  run: showMessages,
};

/** A line for each message, until it is told to stop. Standard output is for messages alone. */
async function showMessages({ words, options }: CommandLine): Promise<void> {
  const [url = '', exchange = '', pattern = ''] = words;
  const { group } = options;
  const verifier = verifierOf(options['verify-key']);
  const transport = await open(url, options);
  const subscriber = new Subscriber(transport, {
    exchange,
    onRefused,
    executor: serial(),
    ...(group !== undefined && { group }),
    ...(verifier && { verify: { verifier } }),
  });
  try {
    const until = stopped();
    await subscriber.bind(pattern, (_, message) => printed(lineOf(message, options.json === true))).start();
    stderr.write(`listening to ${exchange}/${pattern}${group === undefined ? '' : ` in the group ${group}`}\n`);
    await until;
  } finally {
    await transport.close();
  }
  if (verifier === undefined) return;
  const refused = Object.entries(subscriber.refused).filter(([, count]) => count > 0);
  stderr.write(`refused: ${refused.map(([reason, count]) => `${count} ${reason}`).join(', ') || 'none'}\n`);
}

/** JSON for programs; on a terminal a form for people. */
function lineOf(
  { payload: given, timestamp, envelope: _, headers: __, ...message }: ReceivedMessage,
  asJson: boolean,
): string {
  const payload = given instanceof Uint8Array ? { base64: Buffer.from(given).toString('base64') } : given;
  const time = timestamp.toISOString();
  if (asJson || !stdout.isTTY) return JSON.stringify({ ...message, timestamp: time, payload });
  const { key, publisherId, type, version } = message;
  return printable(`${time.slice(11, 23)} ${key}  ${publisherId}  ${type} ${version}  ${JSON.stringify(payload)}`);
}

function onRefused({ reason, detail }: Refusal, { messageId, publisherId }: ReceivedMessage): void {
  stderr.write(`${printable(`refused: ${reason}: message ${messageId} from ${publisherId}: ${detail}`)}\n`);
}
