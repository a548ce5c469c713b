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
import { open, stopped } from './open.ts';
import { type CommandLine, duration, jsonOf, type Options, objectOf } from './options.ts';
import { UsageError } from './usage.ts';

export async function tell({ words, options }: CommandLine): Promise<void> {
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

export async function listen({ words, options }: CommandLine): Promise<void> {
  const [url = ''] = words;
  const eventType = patternOf(options['event-type']);
  const given = prioritiesOf(options);
  const priorities = given.length > 0 ? given : PRIORITIES;
  const { exchange, pool, topic: topics = ['notifications'] } = options;
  const endpoint = Object.fromEntries(priorities.map((priority) => [priority, show]));
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
function show(notification: Notification): void {
  const { id, publisherId, eventType, priority, payload, timestamp, context } = notification;
  const time = timestamp.toISOString();
  if (stdout.isTTY)
    stdout.write(
      `${time.slice(11, 23)} ${priority.padEnd(8)} ${publisherId}  ${eventType}  ${stringifyPythonJson(payload)}\n`,
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
