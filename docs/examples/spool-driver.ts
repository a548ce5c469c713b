import { watch } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Address, Delivery, Driver, DriverContext, Message, SendOptions, Source, Subscription } from 'posthorn';
import * as posthorn from 'posthorn';

const KINDS: readonly Address['kind'][] = ['anycast', 'unicast', 'multicast', 'reply'];

/** `spool:///path`: a queue is a folder, a message a file, and whoever renames the file first has the message. */
export async function spool(url: posthorn.TransportUrl, context: DriverContext): Promise<Driver> {
  const root = `/${url.vhost ?? ''}`;
  await mkdir(root, { recursive: true });
  context.onStatus({ state: 'connected', host: root, generation: 1 });
  return new SpoolDriver(root, context);
}

class SpoolDriver implements Driver {
  readonly name = 'spool';
  readonly features = {
    kinds: KINDS,
    unroutable: 'detected',
    ttl: true,
    delay: false,
    priority: false,
    keep: false,
    deliveryCount: false,
    durable: true,
  } as const;
  readonly #open = new Set<Subscription>();
  readonly #root: string;
  readonly #context: DriverContext;
  #closing: Promise<void> | undefined;

  constructor(root: string, context: DriverContext) {
    this.#root = root;
    this.#context = context;
  }

  async send(to: Address, message: Message, options: SendOptions = {}): Promise<void> {
    this.#check(to.kind, options);
    const folder = this.#folder(to);
    const found = await readdir(folder).catch(() => undefined);
    // All who listen to a multicast have a folder of their own inside.
    const queues = to.kind === 'multicast' ? (found ?? []).map((name) => join(folder, name)) : found && [folder];
    if (!queues?.length && options.unrouted === 'fail') throw new posthorn.UnroutableError(posthorn.describe(to), to);
    if (options.beforeWrite?.() === false) return;
    const expires = message.ttlMs === undefined ? undefined : Date.now() + message.ttlMs;
    const text = JSON.stringify({ ...message, body: Buffer.from(message.body).toString('base64'), expires });
    // Names sort by time. Written aside first, so that nobody reads half a message.
    const name = `${String(process.hrtime.bigint()).padStart(20, '0')}-${posthorn.newId()}`;
    for (const queue of queues ?? []) {
      await writeFile(join(queue, 'held', name), text);
      await rename(join(queue, 'held', name), join(queue, name));
    }
  }

  async subscribe(
    [source, ...others]: readonly Source[],
    receive: (delivery: Delivery) => void,
    { prefetch = 64, retention, signal }: posthorn.SubscribeOptions = {},
  ): Promise<Subscription> {
    if (!source || others.length > 0) throw new posthorn.UnsupportedError(this.name, 'several sources');
    this.#check(source.kind, { ...(signal && { signal }), ...(retention?.maxPriority && { priority: 0 }) });
    if (source.kind === 'topic') throw new posthorn.UnsupportedError(this.name, 'topics');
    const address: Address = source.kind === 'reply' ? { kind: 'reply', name: posthorn.newId() } : source;
    const isPrivate = source.kind === 'multicast' || source.kind === 'reply';
    const folder = join(this.#folder(address), source.kind === 'multicast' ? posthorn.newId() : '');
    await mkdir(join(folder, 'held'), { recursive: true });
    const queue = new Intake(folder, address, prefetch, receive);
    let over: (reason: undefined) => void = () => {};
    let closing: Promise<void> | undefined;
    const close = async (): Promise<void> => {
      await queue.pause();
      await queue.releaseAll();
      if (isPrivate) await rm(folder, { recursive: true, force: true });
      this.#open.delete(subscription);
      over(undefined);
    };
    const subscription: Subscription = {
      address,
      ended: new Promise((resolve) => {
        over = resolve;
      }),
      pause: () => queue.pause(),
      resume: async () => queue.resume(),
      stop: () => queue.pause(),
      close: () => (closing ??= close()),
      [Symbol.asyncDispose]: () => subscription.close(),
    };
    this.#open.add(subscription);
    return subscription;
  }

  close(): Promise<void> {
    const all = (): Promise<unknown> => Promise.all([...this.#open].map((one) => one.close()));
    return (this.#closing ??= all().then(() => this.#context.onStatus({ state: 'closed' })));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(kind: Address['kind'], { signal, delayMs, priority, unrouted }: SendOptions): void {
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw new posthorn.ClosedError('the transport');
    if (KINDS.includes(kind) && delayMs === undefined && priority === undefined && unrouted !== 'keep') return;
    throw new posthorn.UnsupportedError(this.name, `${kind} addresses, delays, priorities or keeping`);
  }

  #folder({ kind, ...parts }: Address): string {
    return join(this.#root, kind, ...Object.values(parts).map((part) => `=${encodeURIComponent(part)}`));
  }
}

/** Takes messages out of one folder: a scan at each change, one after the other. */
class Intake {
  readonly #held = new Set<string>();
  #scanning: Promise<void> = Promise.resolve();
  #paused = false;

  constructor(folder: string, to: Address, prefetch: number, receive: (delivery: Delivery) => void) {
    const watcher = watch(folder, () => this.resume(this.#paused));
    const settle = async (name: string, outcome: posthorn.Outcome): Promise<boolean> => {
      if (!this.#held.delete(name)) return false;
      const back = join(folder, name.endsWith('.again') ? name : `${name}.again`);
      await (outcome === 'release' ? rename(join(folder, 'held', name), back) : rm(join(folder, 'held', name)));
      this.resume(this.#paused);
      return true;
    };
    const take = async (name: string): Promise<void> => {
      const mine = join(folder, 'held', name);
      const won = await rename(join(folder, name), mine).then(Boolean.bind(null, true), () => false);
      if (!won) return;
      this.#held.add(name);
      const { body, expires, ...rest } = JSON.parse(await readFile(mine, 'utf8'));
      const message: Message = { ...rest, body: Buffer.from(body, 'base64') };
      const redelivered = name.endsWith('.again');
      if (expires < Date.now()) await settle(name, 'reject');
      else receive({ message, to, redelivered, settle: (outcome) => settle(name, outcome) });
    };
    this.#scan = async () => {
      const names = await readdir(folder).catch(() => []);
      for (const name of names.filter((one) => one !== 'held').sort()) {
        if (!this.#paused && this.#held.size < prefetch) await take(name);
      }
    };
    this.releaseAll = async () => {
      watcher.close();
      for (const name of [...this.#held].reverse()) await settle(name, 'release');
    };
    this.resume();
  }

  readonly #scan: () => Promise<void>;
  readonly releaseAll: () => Promise<void>;

  async pause(): Promise<void> {
    this.#paused = true;
    await this.#scanning;
  }

  resume(paused = false): void {
    this.#paused = paused;
    this.#scanning = this.#scanning.then(this.#scan);
  }
}
