import type { Connection, Message, Receiver, Sender, Session } from 'rhea';

const NODE = '/management';
const LINK = 'management-link-pair';

type Properties = Readonly<Record<string, boolean | number>>;

/** The management node of RabbitMQ 4, which declares queues: requests like those of HTTP over a pair of links. */
export class Management {
  readonly #sender: Sender;
  readonly #waiting = new Map<string, { resolve(): void; reject(error: Error): void }>();
  readonly #made: string[] = [];
  #requests = 0;

  private constructor(sender: Sender, receiver: Receiver) {
    this.#sender = sender;
    receiver.on('message', ({ message }) => {
      receiver.add_credit(1);
      const waiter = this.#waiting.get(String(message?.correlation_id));
      this.#waiting.delete(String(message?.correlation_id));
      if (Number(message?.subject) < 400) waiter?.resolve();
      else waiter?.reject(new Error(`management: ${message?.subject} ${JSON.stringify(message?.body)}`));
    });
  }

  static async open(connection: Connection): Promise<Management> {
    const session = pairing(connection.create_session());
    session.begin();
    const settled = { snd_settle_mode: 1, rcv_settle_mode: 0, properties: { paired: true } } as const;
    const source = { address: NODE, expiry_policy: 'link-detach', durable: 0 } as const;
    const receiver = session.open_receiver({
      name: LINK,
      source,
      target: { address: NODE },
      credit_window: 0,
      autoaccept: true,
      ...settled,
    });
    const target = { address: NODE, expiry_policy: 'link-detach' } as const;
    const sender = session.open_sender({ name: LINK, source: { address: NODE }, target, ...settled });
    const management = new Management(sender, receiver);
    await new Promise((resolve) => sender.once('sendable', resolve));
    receiver.add_credit(100);
    // rhea writes transfers before flows of the same turn: the credit must be out before the first request.
    await new Promise((resolve) => setImmediate(resolve));
    return management;
  }

  /** A queue of this peer's. */
  async queue(name: string, properties: Properties): Promise<void> {
    this.#made.push(await this.#declare(name, properties));
  }

  /** The queue of another peer, which may come later: RabbitMQ attaches no sender to one that is not there. */
  async othersQueue(name: string, properties: Properties): Promise<void> {
    await this.#declare(name, properties);
  }

  async exchange(name: string): Promise<void> {
    const path = `/exchanges/${encodeURIComponent(name)}`;
    await this.#request('PUT', path, {
      type: 'topic',
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    });
    this.#made.push(path);
  }

  async bind(source: string, queue: string, key: string): Promise<void> {
    await this.#request('POST', '/bindings', {
      source,
      destination_queue: queue,
      binding_key: key,
      arguments: {},
    });
  }

  /** Everything that was declared here. */
  async deleteAll(): Promise<void> {
    for (const path of this.#made) await this.#request('DELETE', path, null);
  }

  async #declare(name: string, { durable, exclusive, ...args }: Properties): Promise<string> {
    const path = `/queues/${encodeURIComponent(name)}`;
    await this.#request('PUT', path, { durable, exclusive, auto_delete: false, arguments: args });
    return path;
  }

  #request(method: string, path: string, body: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      const id = `m${++this.#requests}`;
      this.#waiting.set(id, { resolve, reject });
      this.#sender.send({ message_id: id, to: path, subject: method, reply_to: '$me', body } as Message);
    });
  }
}

interface Link {
  readonly name: string;
  readonly local: { readonly handle: number };
  readonly remote: { handle: number; attach?: unknown };
  is_sender(): boolean;
  on_attach(frame: unknown): void;
}

interface Internals {
  links: Record<string, Link | undefined>;
  readonly local: { readonly handles: Record<number, unknown> };
  readonly remote: { readonly handles: Record<number, unknown> };
  create_link(name: string, make: unknown, options: unknown): Link;
  on_attach(frame: {
    readonly performative: { readonly name: string; readonly role: boolean; readonly handle: number };
  }): void;
  remove_link(link: Link): void;
}

/** rhea knows the links of a session by name alone; the two of a pair bear the same. */
function pairing(session: Session): Session {
  const inside = session as unknown as Internals;
  const key = (name: string, isSender: boolean): string => `${name} ${isSender}`;
  const create = inside.create_link;
  inside.create_link = (name, make, options) => {
    const link = create.call(inside, name, make, options);
    delete inside.links[name];
    inside.links[key(name, link.is_sender())] = link;
    return link;
  };
  inside.on_attach = (frame) => {
    const { name, role, handle } = frame.performative;
    const link = inside.links[key(name, role)];
    if (link === undefined) throw new Error(`the broker attached ${name}, which nobody asked for`);
    inside.remote.handles[handle] = link;
    link.on_attach(frame);
    link.remote.attach = frame.performative;
  };
  inside.remove_link = (link) => {
    delete inside.remote.handles[link.remote.handle];
    delete inside.local.handles[link.local.handle];
    delete inside.links[key(link.name, link.is_sender())];
  };
  return session;
}
