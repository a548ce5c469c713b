import { once } from 'node:events';
import fs from 'node:fs';
import { basename, dirname, join, parse } from 'node:path';
import * as core from '@posthorn/core';

// #region features
const can = { ttl: true, inPlace: true, durable: true };
const cannot = { delay: false, priority: false, keep: false, deliveryCount: false, untilEmpty: false };
const kinds = ['anycast', 'unicast', 'multicast', 'reply'] as const;
const features: core.Features = { kinds, unroutable: 'detected', ...can, ...cannot };
// #endregion features

// #region factory
/** `spool:///path`: a queue is a folder, a message is a file in it, and whoever renames the file first has it. */
export async function spool(url: core.TransportUrl, context: core.DriverContext): Promise<core.Driver> {
  if (url.hosts.length > 0 || url.vhost === undefined) throw new core.ConfigError('url', 'expected spool:///path');
  const root = `/${url.vhost}`;
  const made = attempt(() => fs.mkdirSync(root, { recursive: true }));
  if (made instanceof Error) throw new core.ConnectionError(made.message, { cause: made });
  const open = new Set<core.Subscription>();
  let closing: Promise<void> | undefined;
  context.onStatus({ state: 'connected', host: root, generation: 1 });
  return { name: 'spool', features, send, subscribe, close, [Symbol.asyncDispose]: close };
  // #endregion factory

  // #region send
  async function send(to: core.Address, message: core.Message, options: core.SendOptions = {}): Promise<void> {
    check([to], options);
    if (options.beforeWrite?.() === false) return;
    const copies = attempt(() => write(root, to, message, options.persistent));
    if (copies instanceof Error) throw new core.DeliveryError(copies.message, { cause: copies });
    if (copies === 0 && options.unrouted === 'fail') throw new core.UnroutableError(core.describe(to), to);
  }
  // #endregion send

  // #region subscribe
  async function subscribe(from: readonly core.Source[], receive: Receive, options: core.SubscribeOptions = {}) {
    check(from, options);
    if (from.length === 0 || (from.length > 1 && from.some(({ kind }) => kind === 'reply')))
      throw new core.ConfigError('subscribe', 'expected sources, or one reply source alone');
    const subscription = attempt(() => consume(root, from, receive, options.prefetch, context.onLateSettle));
    if (subscription instanceof Error) throw new core.ConnectionError(subscription.message, { cause: subscription });
    open.add(subscription);
    void subscription.ended.then(() => open.delete(subscription));
    return subscription;
  }
  // #endregion subscribe

  function close(): Promise<void> {
    closing ??= Promise.all([...open].map((one) => one.close())).then(() => context.onStatus({ state: 'closed' }));
    return closing;
  }

  // #region check
  /** What the features do not declare is refused, never left out in silence. */
  function check(addresses: readonly (core.Address | core.Source)[], options: core.SendOptions): void {
    options.signal?.throwIfAborted();
    if (closing !== undefined) throw new core.ClosedError('the transport');
    const { delayMs, unrouted, retention, priority = retention?.maxPriority } = options;
    const isKnown = addresses.every(({ kind }) => features.kinds.includes(kind));
    if (isKnown && delayMs === undefined && priority === undefined && unrouted !== 'keep') return;
    throw new core.UnsupportedError('spool', 'topics, groups, mailboxes, keeping, delays or priorities');
  }
  // #endregion check
}

type Receive = (delivery: core.Delivery) => void;

/** Takes the oldest messages while there is room, and in the end gives back what was not settled. */
function consume(root: string, from: readonly core.Source[], receive: Receive, prefetch = 64, onLate = () => {}) {
  const own = `${core.newId()}.of-${process.pid}`;
  const addresses = from.map((one) => (one.kind === 'reply' ? { ...one, name: own } : one)) as [core.Address];
  const queues = addresses.map((one) => folderOf(root, one) + (one.kind === 'multicast' ? `=${own}` : ''));
  const [held, given] = [new Set<core.Delivery>(), new Set<core.Delivery>()];
  let state: 'open' | 'paused' | 'stopped' = 'open';
  let looking: NodeJS.Immediate | undefined;
  // #region look
  // In a later turn of the event loop, so that many events make one look.
  const look = (): void => {
    looking ??= setImmediate(() => {
      looking = undefined;
      const room = state === 'open' ? prefetch - held.size : 0;
      const files = queues.flatMap(list).sort((a, b) => (basename(a) < basename(b) ? -1 : 1));
      for (const file of files.filter((one) => /\.(msg|again)$/.test(one)).slice(0, room)) take(file);
      for (const file of files.filter(isOrphan)) attempt(() => fs.renameSync(file, file.replace(/of-\d+$/, 'again')));
    });
  };
  // #endregion look
  // #region take
  const take = (file: string): void => {
    const { dir, name, ext } = parse(file);
    const [mine, again] = [join(dir, `${name}.of-${process.pid}`), join(dir, `${name}.again`)];
    if (attempt(() => fs.renameSync(file, mine)) instanceof Error) return; // another was quicker
    const message = attempt((): core.Message | undefined => {
      const { until = Number.POSITIVE_INFINITY, body, ...rest } = JSON.parse(fs.readFileSync(mine, 'utf8'));
      return until < Date.now() ? undefined : { ...rest, body: Buffer.from(body, 'base64') };
    });
    if (message === undefined || message instanceof Error) return fs.rmSync(mine, { force: true });
    const settle = async (outcome: core.Outcome): Promise<boolean> => {
      if (given.delete(delivery)) onLate();
      if (!held.delete(delivery)) return false;
      look();
      return attempt(() => (outcome === 'release' ? fs.renameSync(mine, again) : fs.rmSync(mine))) === undefined;
    };
    const delivery = { message, to: addresses[0], redelivered: ext === '.again', settle };
    held.add(delivery);
    receive(delivery);
  };
  // #endregion take
  const turn = async (next: typeof state): Promise<void> => {
    if (state !== 'stopped') state = next;
    look();
  };
  const [pause, resume, stop] = [() => turn('paused'), () => turn('open'), () => turn('stopped')];
  // #region close
  const close = async (): Promise<void> => {
    await stop();
    for (const watcher of watchers) watcher.close();
    for (const delivery of held) await delivery.settle('release').then(() => given.add(delivery));
    clearImmediate(looking);
    for (const queue of queues.filter((one) => one.endsWith(own))) fs.rmSync(queue, { recursive: true, force: true });
    for (const sign of signs) attempt(() => [fs.rmSync(sign), fs.rmdirSync(dirname(sign))]); // a successor's keeps it
  };
  // #endregion close
  for (const queue of queues) fs.mkdirSync(queue, { recursive: true });
  const signs = queues.filter((one) => /unicast=[^/]*$/.test(one)).map((one) => join(one, own));
  for (const sign of signs) fs.writeFileSync(sign, '');
  const watchers = queues.map((queue) => fs.watch(queue, look));
  const ended = Promise.all(watchers.map((one) => once(one, 'close'))).then(() => undefined, Error);
  look();
  return { address: addresses[0], ended, pause, resume, stop, close, [Symbol.asyncDispose]: close };
}

// #region names
/** The folder of an address. Its parts are encoded, so that no two addresses meet and no path leaves the root. */
const folderOf = (root: string, { kind, ...parts }: core.Address): string =>
  join(root, [kind, ...Object.entries(parts).sort().flat().map(encodeURIComponent)].join('='));
// #endregion names

/** Writes to the folder of an address, or to those that a multicast's subscribers have. File names sort by time. */
function write(root: string, to: core.Address, { body, ...rest }: core.Message, flush = false): number {
  const queues = list(root).filter((one) => `${one}=`.startsWith(`${folderOf(root, to)}=`) && !isOrphan(one));
  const name = `${Math.round((performance.timeOrigin + performance.now()) * 1_000)}-${core.newId()}`;
  const until = rest.ttlMs && Date.now() + rest.ttlMs;
  const text = JSON.stringify({ ...rest, until, body: Buffer.from(body).toString('base64') });
  for (const queue of queues) {
    fs.writeFileSync(join(queue, `${name}.new`), text, { flush });
    fs.renameSync(join(queue, `${name}.new`), join(queue, `${name}.msg`)); // so that nobody reads half of it
  }
  return queues.length;
}

const list = (folder: string): string[] =>
  fs.existsSync(folder) ? fs.readdirSync(folder).map((name) => join(folder, name)) : [];
/** Whether a file or folder bears the number of a process that has ended. */
const isOrphan = (path: string): boolean =>
  attempt(() => process.kill(Number(/\.of-(\d+)$/.exec(path)?.[1] ?? process.pid), 0)) instanceof Error;

function attempt<T>(action: () => T): T | Error {
  try {
    return action();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
