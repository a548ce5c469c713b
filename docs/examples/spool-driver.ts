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
  attempt('CONNECTION', root, () => fs.mkdirSync(root, { recursive: true }));
  context.onStatus({ state: 'connected', host: root, generation: 1 });
  const open = new Set<core.Subscription>();
  let closing: Promise<void> | undefined;

  return {
    name: 'spool',
    features,
    async send(to, message, options = {}) {
      check([to], options);
      if (options.beforeWrite?.() === false) return;
      const write = () => queuesOf(root, to).filter((queue) => put(queue, message, options.persistent));
      const written = attempt('NOT_DELIVERED', core.describe(to), write);
      if (written.length === 0 && options.unrouted === 'fail') throw new core.UnroutableError(core.describe(to), to);
    },
    async subscribe(from, receive, options = {}) {
      check(from, options);
      const addresses = from.map(addressOf);
      const [first] = addresses;
      if (first === undefined || (from.length > 1 && from.some(({ kind }) => kind === 'reply')))
        throw new core.ConfigError('subscribe', 'expected sources, or one reply source alone');
      const queues = addresses.map((one) => join(folderOf(root, one), one.kind === 'multicast' ? privateName() : ''));
      const subscription = attempt('CONNECTION', core.describe(first), () =>
        consume(first, queues, receive, options.prefetch),
      );
      open.add(subscription);
      void subscription.ended.then(() => open.delete(subscription));
      return subscription;
    },
    close() {
      closing ??= Promise.all([...open].map((one) => one.close())).then(() => context.onStatus({ state: 'closed' }));
      return closing;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };

  /** What the features do not declare is refused, never left out in silence. */
  function check(addresses: readonly (core.Address | core.Source)[], options: core.SendOptions): void {
    options.signal?.throwIfAborted();
    if (closing !== undefined) throw new core.ClosedError('the transport');
    const unknown = addresses.find(({ kind }) => !features.kinds.includes(kind));
    if (unknown !== undefined) throw new core.UnsupportedError('spool', `${unknown.kind} addresses`);
    if (options.delayMs !== undefined) throw new core.UnsupportedError('spool', 'delays');
    if (options.unrouted === 'keep') throw new core.UnsupportedError('spool', 'keeping messages');
    if (options.priority !== undefined || options.retention?.maxPriority !== undefined)
      throw new core.UnsupportedError('spool', 'priorities');
  }
}

type Receive = (delivery: core.Delivery) => void;

/** Takes the oldest messages of its queues while there is room, and gives back in the end what was not settled. */
function consume(address: core.Address, queues: readonly string[], receive: Receive, prefetch = 64): core.Subscription {
  const held = new Set<core.Delivery>();
  let [paused, stopped] = [false, false];
  let looking: NodeJS.Immediate | undefined;
  let end: (reason?: Error) => void = () => {};
  const ended = new Promise<Error | undefined>((resolve) => {
    end = resolve;
  });

  // In a later turn of the event loop, so that many events make one look.
  const look = (): void => {
    looking ??= setImmediate(() => {
      looking = undefined;
      const room = paused || stopped ? 0 : prefetch - held.size;
      for (const file of waitingIn(queues).slice(0, room)) take(file);
    });
  };
  const take = (file: string): void => {
    const { dir, name, ext } = parse(file);
    const mine = join(dir, `${name}.held-${process.pid}`);
    if (!succeeds(() => fs.renameSync(file, mine))) return; // another was quicker
    const message = read(mine);
    if (message === undefined) return void succeeds(() => fs.rmSync(mine));
    const delivery: core.Delivery = {
      message,
      to: address,
      redelivered: ext === '.again',
      settle: async (outcome) => {
        if (!held.delete(delivery)) return false;
        look();
        const back = join(dir, `${name}.again`);
        return succeeds(() => (outcome === 'release' ? fs.renameSync(mine, back) : fs.rmSync(mine)));
      },
    };
    held.add(delivery);
    receive(delivery);
  };

  for (const queue of queues) fs.mkdirSync(queue, { recursive: true });
  const watchers = queues.map((queue) => fs.watch(queue, look).on('error', end));
  look();
  return {
    address,
    ended,
    async pause() {
      paused = true;
    },
    async resume() {
      paused = false;
      look();
    },
    async stop() {
      stopped = true;
    },
    async close() {
      stopped = true;
      for (const watcher of watchers) watcher.close();
      for (const delivery of held) await delivery.settle('release');
      for (const queue of queues) leave(queue);
      end();
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}

/** The folder of an address. Its parts are encoded, so that no two addresses meet and no path leaves the root. */
function folderOf(root: string, { kind, ...parts }: core.Address): string {
  const sorted = Object.entries(parts).sort();
  return join(root, [kind, ...sorted.map(([, part]) => encodeURIComponent(part))].join('='));
}

/** The queues that a message goes to. Private ones are forgotten once their process is no more. */
function queuesOf(root: string, to: core.Address): string[] {
  const folder = folderOf(root, to);
  if (to.kind === 'anycast' || to.kind === 'unicast') return [folder];
  const all = to.kind === 'reply' ? [folder] : list(folder);
  return all.filter((queue) => isAlive(basename(queue)) || fs.rmSync(queue, { recursive: true, force: true }));
}

/** Writes the message aside first, so that nobody reads half of it. File names sort by time. */
function put(queue: string, { body, ...rest }: core.Message, flush = false): boolean {
  if (!fs.existsSync(queue)) return false;
  const until = rest.ttlMs === undefined ? undefined : Date.now() + rest.ttlMs;
  const path = join(queue, `${Math.round((performance.timeOrigin + performance.now()) * 1_000)}-${core.newId()}`);
  const text = JSON.stringify({ ...rest, until, body: Buffer.from(body).toString('base64') });
  fs.writeFileSync(`${path}.new`, text, { flush });
  fs.renameSync(`${path}.new`, `${path}.msg`);
  return true;
}
