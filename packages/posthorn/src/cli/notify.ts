import { hostname } from 'node:os';
import { stderr, stdout } from 'node:process';
import {
  type Notification,
  NotificationListener,
  Notifier,
  PRIORITIES,
  type Priority,
  parsePriority,
} from '@posthorn/notify';
import { stringifyPythonJson } from '@posthorn/oslo';
import { CONNECTING, type Command } from './help.ts';
import { open, stopped } from './open.ts';
import { type CommandLine, duration, jsonOf, type Options, objectOf } from './options.ts';
import { printable } from './print.ts';
import { UsageError } from './usage.ts';

export const notify: Command = {
  name: 'notify',
  synopsis: '<url> <event-type> [json-payload]',
  words: [2, 3],
  summary: 'emits a notification',
  about:
    'Ends when the broker has the notification, and prints nothing. Where nobody listens yet it is kept for who comes.',
  options: [
    'topic',
    ['priority', 'debug, info, audit, warn, error, critical or sample; default info'],
    'publisher-id',
    'exchange',
    'context',
    ['timeout', 'for the broker to take it; default 30s'],
    ...CONNECTING,
  ],
  examples: [`posthorn notify rabbit://localhost disk.full '{"device": "sda"}' --priority warn`],
  run: tell,
};

export const listen: Command = {
  name: 'listen',
  synopsis: '<url>',
  words: [1, 1],
  summary: 'prints notifications, until SIGINT or SIGTERM',
  about:
    'Prints a line for each notification: JSON, but a form for people on a terminal without --json. Without --pool it takes its share of what the other listeners of the topic would get: name a pool of your own to look on.',
  options: ['topic', 'priority', 'pool', 'event-type', 'exchange', ...CONNECTING],
  examples: ["posthorn listen rabbit://localhost --pool mine --priority error --event-type '^disk'"],
  run: show,
};

async function tell({ words, options }: CommandLine): Promise<void> {
  const [url = '', eventType = '', payload = '{}'] = words;
  const [priority = 'info', ...more] = prioritiesOf(options);
  if (more.length > 0) throw new UsageError('--priority: notify takes one');
  const timeoutMs = duration('--timeout', options.timeout);
  const context = objectOf('--context', options.context ?? '{}');
  const content = jsonOf('the payload', payload);
  const transport = await open(url, options);
  try {
    const notifier = new Notifier(transport, {
      publisherId: options['publisher-id'] ?? `posthorn.${hostname()}`,
      ...(options.topic && { topics: options.topic }),
      ...(options.exchange !== undefined && { exchange: options.exchange }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    });
    await notifier.notify(priority, context, eventType, content);
  } finally {
    await transport.close();
  }
}

async function show({ words, options }: CommandLine): Promise<void> {
  const [url = ''] = words;
  const eventType = patternOf(options['event-type']);
  const given = prioritiesOf(options);
  const priorities = given.length > 0 ? given : PRIORITIES;
  const { exchange, pool, topic: topics = ['notifications'] } = options;
  const endpoint = Object.fromEntries(
    priorities.map((priority) => [priority, (notification: Notification) => showOne(notification, options)]),
  );
  const transport = await open(url, options);
  try {
    await new NotificationListener(transport, {
      targets: topics.map((topic) => ({ topic, ...(exchange !== undefined && { exchange }) })),
      endpoints: [{ ...endpoint, ...(eventType && { filter: { eventType } }) }],
      ...(pool !== undefined && { pool }),
    }).start();
    // Standard output is for notifications alone.
    stderr.write(`listening to ${topics.join(', ')}${pool === undefined ? '' : ` in the pool ${pool}`}\n`);
    await stopped();
  } finally {
    await transport.close();
  }
}

/** A line of JSON for programs; on a terminal one for people. */
function showOne(notification: Notification, { json }: Options): void {
  const { id, publisherId, eventType, priority, payload, timestamp, context } = notification;
  const time = timestamp.toISOString();
  if (stdout.isTTY && json !== true)
    stdout.write(
      `${printable(`${time.slice(11, 23)} ${priority.padEnd(8)} ${publisherId}  ${eventType}  ${stringifyPythonJson(payload)}`)}\n`,
    );
  else
    stdout.write(
      `${stringifyPythonJson({ id, timestamp: time, publisherId, priority, eventType, payload, context })}\n`,
    );
}

function prioritiesOf({ priority: names = [] }: Options): readonly Priority[] {
  return names.map((name) => {
    const priority = parsePriority(name);
    if (priority === undefined) throw new UsageError(`--priority: "${name}" is none of ${PRIORITIES.join(', ')}`);
    return priority;
  });
}

function patternOf(source: string | undefined): RegExp | undefined {
  if (source === undefined) return undefined;
  try {
    return new RegExp(source);
  } catch {
    throw new UsageError(`--event-type: "${source}" is not a regular expression`);
  }
}
