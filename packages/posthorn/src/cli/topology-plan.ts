import {
  type Address,
  type Declaration,
  type Delivery,
  type Driver,
  type Home,
  type Message,
  Redelivery,
  type RetryPolicy,
  type SendOptions,
  type Source,
  type SubscribeOptions,
  type Subscription,
  silent,
  Transport,
} from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier, PRIORITIES } from '@posthorn/notify';
import { RPCServer } from '@posthorn/rpc';
import { configuredServer, readServicesConfig } from '@posthorn/services';
import type { TopologyFile } from './topology-file.ts';

/** The attempts that a message has by default, see `RetryPolicy`. */
const ATTEMPTS = 5;

/** A declaration, and what of the file asks for it. */
export interface Planned {
  readonly declaration: Declaration;
  readonly for: string;
}

/**
 * What an application of this file would declare: its servers, listeners and subscribers are started for real, upon a
 * driver that only writes down what they ask for. So the plan is theirs, and never another.
 */
export async function planOf(transport: Transport, file: TopologyFile): Promise<readonly Planned[]> {
  const rehearsal = await Rehearsal.open(transport);
  try {
    for (const { server, ...target } of file.servers)
      for (const one of server)
        await rehearsal.run(`server ${target.topic}@${one}`, (stage) =>
          new RPCServer(stage, {
            target: { ...target, server: one },
            endpoints: [],
          }).start(),
        );
    for (const { priorities = PRIORITIES, ...options } of file.notifiers)
      await rehearsal.run(`notifier ${options.topics?.join(', ') ?? ''}`.trimEnd(), async (stage) => {
        const notifier = new Notifier(stage, { publisherId: 'plan', ...options });
        for (const priority of priorities) await notifier.notify(priority, {}, 'plan', {});
      });
    for (const { targets, priorities = PRIORITIES, retry, ...options } of file.listeners)
      await rehearsal.run(
        `listener ${options.pool ?? targets.map(({ topic }) => topic).join(', ')}`,
        (stage) =>
          new NotificationListener(stage, {
            targets,
            endpoints: [Object.fromEntries(priorities.map((priority) => [priority, () => undefined]))],
            ...options,
          }).start(),
        retry ?? {},
      );
    for (const { exchange } of file.publishers)
      await rehearsal.run(`publisher ${exchange}`, (stage) =>
        new Publisher(stage, { exchange, publisherId: 'plan' }).publish({
          messageType: 'plan',
          version: '1.0',
          payload: {},
        }),
      );
    for (const { bindings, exchange, retry, ...options } of file.subscribers)
      await rehearsal.run(
        `subscriber ${options.group ?? exchange.join(', ')}`,
        (stage) => new Subscriber(stage, { exchange, keys: bindings, ...options }).start(),
        retry ?? {},
      );
    for (const { name, retry, ...retention } of file.mailboxes)
      await rehearsal.run(
        `mailbox ${name}`,
        (stage) => new Subscriber(stage, { mailbox: name, retention }).start(),
        retry ?? {},
      );
    for (const path of file.services) {
      const config = await readServicesConfig(path);
      const services = config.services.map((service) => service.name).join(', ');
      await rehearsal.run(`services ${services}`, async (stage) => (await configuredServer(stage, config)).start(), {});
    }
    return rehearsal.planned;
  } finally {
    await rehearsal.close();
  }
}

/** A transport whose driver writes down what it is asked for, in the words of another one. */
class Rehearsal {
  readonly #real: Transport;
  readonly #planned = new Map<string, Planned>();
  readonly #homes: Home[] = [];
  #stage: Transport | undefined;
  #for = '';

  private constructor(real: Transport) {
    this.#real = real;
  }

  static async open(real: Transport): Promise<Rehearsal> {
    const rehearsal = new Rehearsal(real);
    const { on: _, ...wire } = real.wire;
    rehearsal.#stage = await Transport.open(async () => rehearsal.#driver(), { wire, logger: silent });
    return rehearsal;
  }

  get planned(): readonly Planned[] {
    return [...this.#planned.values()];
  }

  /** With a policy: also where what fails is tried again, and buried. */
  async run(what: string, start: (stage: Transport) => Promise<unknown>, retry?: RetryPolicy): Promise<void> {
    const stage = this.#stage;
    if (stage === undefined) return;
    this.#for = what;
    await start(stage);
    if (retry === undefined) return;
    const { limit = ATTEMPTS } = retry;
    for (const home of this.#homes.splice(0)) {
      // Where the broker cannot delay, retries are waited for, which a rehearsal need not.
      const redelivery = new Redelivery(stage, home, stage.features.delay ? retry : { ...retry, minDelayMs: 1 });
      for (let attempts = 0; attempts < limit; attempts++) await redelivery.retry(failed(home, attempts), 'plan');
    }
  }

  async close(): Promise<void> {
    await this.#stage?.close();
  }

  #driver(): Driver {
    const { name, features } = this.#real;
    const close = async (): Promise<void> => undefined;
    const driver: Driver = {
      name,
      features,
      send: async (to: Address, _message: Message, options: SendOptions = {}) =>
        this.#note(this.#real.plan(to, options)),
      subscribe: async (from: readonly Source[], _receive: unknown, options: SubscribeOptions = {}) => {
        this.#note(this.#real.plan(from, options));
        const [first] = from;
        if (options.group !== undefined) this.#homes.push({ kind: 'group', name: options.group });
        else if (first?.kind === 'mailbox') this.#homes.push(first);
        return idle();
      },
      // The names of the wire are in the plan of the real one already.
      view: () => driver,
      close,
      [Symbol.asyncDispose]: close,
    };
    return driver;
  }

  #note(declarations: readonly Declaration[]): void {
    for (const declaration of declarations) {
      const key = JSON.stringify(declaration);
      if (!this.#planned.has(key)) this.#planned.set(key, { declaration, for: this.#for });
    }
  }
}

function failed(home: Home, attempts: number): Delivery {
  return {
    message: { body: new Uint8Array(), headers: { 'ph-attempts': attempts } },
    to: home,
    redelivered: false,
    settle: async () => true,
  };
}

function idle(): Subscription {
  let end = (): void => undefined;
  const ended = new Promise<undefined>((resolve) => {
    end = () => resolve(undefined);
  });
  const close = async (): Promise<void> => end();
  const nothing = async (): Promise<void> => undefined;
  const address: Address = { kind: 'group', name: 'plan' };
  return { address, ended, pause: nothing, resume: nothing, stop: nothing, close, [Symbol.asyncDispose]: close };
}
