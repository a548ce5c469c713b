import * as fs from 'node:fs';
import { basename, join, parse } from 'node:path';
import * as core from '@posthorn/core';

const features: core.Features = {
  kinds: ['anycast', 'unicast', 'multicast', 'reply'],
  unroutable: 'detected',
  ttl: true,
  delay: false,
  priority: false,
  keep: false,
  deliveryCount: false,
  durable: true,
};

/** `spool:///path`: a queue is a folder, a message is a file in it, and whoever renames the file first has it. */
export async function spool(url: core.TransportUrl, context: core.DriverContext): Promise<core.Driver> {
  if (url.hosts.length > 0 || url.vhost === undefined) throw new core.ConfigError('url', 'expected spool:///path');
  const root = `/${url.vhost}`;
  const open = new Set<core.Subscription>();
  let closing: Promise<void> | undefined;
  attempt('CONNECTION', root, () => fs.mkdirSync(root, { recursive: true }));
  context.onStatus({ state: 'connected', host: root, generation: 1 });

  /** What was not declared is refused, never left out in silence. */
  const check = ({ kind }: core.Source | core.Address, options: core.SendOptions): void => {
    options.signal?.throwIfAborted();
    if (closing !== undefined) throw new core.ClosedError('the transport');
    const asked: readonly (readonly [unknown, string])[] = [
      [!features.kinds.includes(kind), `${kind} addresses`],
      [options.delayMs !== undefined, 'delays'],
      [options.unrouted === 'keep', 'keeping messages'],
      [options.priority ?? options.retention?.maxPriority, 'priorities'],
    ];
    const refused = asked.find(([isAsked]) => isAsked);
    if (refused !== undefined) throw new core.UnsupportedError('spool', refused[1]);
  };
