import type { Agreed, Comparison, Declaration, Inspection } from '@posthorn/core';
import { assertQueue, withChannel } from './declare.ts';
import { brokerText, channelError, isNotFound, isPreconditionFailed } from './errors.ts';
import type { Link } from './link.ts';

type Exchange = Extract<Declaration, { kind: 'exchange' }>;
type Queue = Extract<Declaration, { kind: 'queue' }>;

export function agreedOn({ model }: Link): Agreed {
  const { serverProperties, heartbeat, frameMax, channelMax } = model.connection;
  const { product, version } = serverProperties;
  return { product: String(product), version: String(version), heartbeatMs: heartbeat * 1_000, frameMax, channelMax };
}

/** Looks at a queue by a passive declaration, on a channel of its own: the broker closes it where there is no queue. */
export async function inspectQueue(link: Link, name: string): Promise<Inspection> {
  const what = `looking at queue ${name}`;
  try {
    const found = await withChannel(link, (channel) => link.guard(channel.checkQueue(name), what));
    return { exists: true, ready: found.messageCount, consumers: found.consumerCount };
  } catch (error) {
    if (isNotFound(error)) return { exists: false, ready: 0, consumers: 0 };
    throw channelError(error, what);
  }
}

/** Compares, makes or removes. Each step has a channel of its own, since a refusal closes it. */
export async function carryOut(
  link: Link,
  declaration: Declaration,
  verb: 'compare' | 'create' | 'remove',
): Promise<Comparison> {
  const what = `${declaration.kind} ${declaration.kind === 'binding' ? `of ${declaration.queue}` : declaration.name}`;
  try {
    if (verb === 'remove') return await remove(link, declaration);
    if (declaration.kind === 'binding') return await bind(link, declaration, verb);
    if (declaration.kind === 'queue' && declaration.exclusive) return { state: 'absent' };
    if (verb === 'compare' && !(await exists(link, declaration))) return { state: 'absent' };
    // What is there is declared again, and the broker tells whether it is the same.
    await make(link, declaration);
    return { state: 'same' };
  } catch (error) {
    if (isPreconditionFailed(error)) return { state: 'differs', reason: brokerText(error) };
    throw channelError(error, what);
  }
}

/** AMQP 0-9-1 can make bindings, and cannot tell of them. */
async function bind(
  link: Link,
  { exchange, queue, key }: Extract<Declaration, { kind: 'binding' }>,
  verb: 'compare' | 'create',
): Promise<Comparison> {
  if (verb === 'compare') return { state: 'unknown' };
  await withChannel(link, (channel) => link.guard(channel.bindQueue(queue, exchange, key), `binding queue ${queue}`));
  return { state: 'same' };
}

async function make(link: Link, declaration: Exchange | Queue): Promise<void> {
  const { name, durable, autoDelete } = declaration;
  await withChannel(link, async (channel) => {
    if (declaration.kind === 'queue') await assertQueue(link, channel, { ...declaration, onClose: 'keep' });
    else
      await link.guard(
        channel.assertExchange(name, declaration.type, { durable, autoDelete }),
        `declaring exchange ${name}`,
      );
  });
}

async function exists(link: Link, { kind, name }: Exchange | Queue): Promise<boolean> {
  try {
    await withChannel(link, (channel) =>
      link.guard<unknown>(
        kind === 'queue' ? channel.checkQueue(name) : channel.checkExchange(name),
        `checking ${kind} ${name}`,
      ),
    );
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** What is gone already is no error to RabbitMQ, and to us neither. */
async function remove(link: Link, declaration: Declaration): Promise<Comparison> {
  await withChannel(link, (channel) => {
    switch (declaration.kind) {
      case 'queue': {
        const { name } = declaration;
        return link.guard(channel.deleteQueue(name, { ifUnused: false, ifEmpty: false }), `deleting queue ${name}`);
      }
      case 'exchange':
        return link.guard(channel.deleteExchange(declaration.name), `deleting exchange ${declaration.name}`);
      case 'binding': {
        const { queue, exchange, key } = declaration;
        return link.guard(channel.unbindQueue(queue, exchange, key), `unbinding queue ${queue}`);
      }
    }
  });
  return { state: 'absent' };
}
