import { newId } from '@posthorn/core';
import type { Context } from 'mocha';
import { findPython } from './python.ts';
import { isSkip, type RabbitCandidate } from './rabbit-broker.ts';
import { skip } from './skip.ts';
import { openVhost, type Vhost } from './vhost.ts';

/** Where Node and Python meet: a vhost, and names that nobody else uses. */
export interface OsloPlace {
  readonly vhost: Vhost;
  /** For peers: oslo.messaging reads the same URL. */
  readonly url: string;
  readonly exchange: string;
  readonly topic: string;
}

/** A fresh place on the broker, or a skip where there is no broker or no Python. */
export async function openOsloPlace(context: Context, what: string, { find }: RabbitCandidate): Promise<OsloPlace> {
  context.timeout(180_000);
  const [broker, python] = await Promise.all([find(), findPython()]);
  if (isSkip(broker)) return skip(context, what, broker.skip);
  if (isSkip(python)) return skip(context, what, python.skip);
  const vhost = await openVhost(broker);
  const id = newId();
  return { vhost, url: vhost.url, exchange: `x-${id}`, topic: `t-${id}` };
}
