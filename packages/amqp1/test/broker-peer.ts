import { once } from 'node:events';
import type { Socket } from 'node:net';
import rhea, { type Connection, type EventContext, type Message, type Receiver, type Sender } from 'rhea';

interface ReceiverExtras {
  readonly credit?: number;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly name?: string;
  readonly presettled?: boolean;
}

/** How one message was answered: `accepted`, or `rejected amqp:decode-error`. */
export type Outcome = string;

/** A receiving link of a test, which settles nothing by itself. */
export interface Inbox {
  readonly link: Receiver;
  readonly got: EventContext[];
  /** The messages, as soon as there are that many. */
  first(count: number): Promise<readonly Message[]>;
  /** Settles what came as the n-th, counted from 0. */
  delivery(index: number): NonNullable<EventContext['delivery']>;
  close(): Promise<void>;
}

/** Any AMQP 1.0 client: plain rhea, with promises. */
export class BrokerPeer implements AsyncDisposable {
  readonly connection: Connection;
  readonly #ended: Promise<unknown>;

  private constructor(connection: Connection) {
    this.connection = connection;
    this.#ended = once(connection, 'disconnected');
  }

  /** Rejects with the condition when the broker does not let it in. */
  static async open(port: number, options: object = {}): Promise<BrokerPeer> {
    const container = rhea.create_container();
    for (const event of ['error', 'receiver_error', 'sender_error', 'session_error']) container.on(event, () => {});
    const connection = container.connect({
      host: '127.0.0.1',
      port,
      reconnect: false,
      tcp_no_delay: true,
      ...options,
    } as never);
    const peer = new BrokerPeer(connection);
    await new Promise<void>((resolve, reject) => {
      connection.once('connection_open', () => resolve());
      connection.once('connection_error', ({ error }) => reject(conditionOf(error)));
      connection.once('disconnected', () => reject('disconnected'));
    });
    connection.on('connection_error', () => {});
    return peer;
  }

  /** Attaches to receive, and gives credit. Rejects with the condition. */
  async receive(source: string | object, extras: ReceiverExtras = {}): Promise<Inbox> {
    const { credit = 100, properties = {}, presettled = false, ...rest } = extras;
    const session = this.connection.create_session();
    session.begin();
    const link = session.open_receiver({
      source,
      properties,
      credit_window: 0,
      autoaccept: false,
      snd_settle_mode: presettled ? 1 : 0,
      ...rest,
    });
    const got: EventContext[] = [];
    const waiting = new Set<() => void>();
    link.on('message', (context: EventContext) => {
      got.push(context);
      for (const look of waiting) look();
    });
    await attached(link, 'receiver');
    if (credit > 0) link.add_credit(credit);
    return {
      link,
      got,
      first: (count) =>
        new Promise((resolve) => {
          const look = (): void => {
            if (got.length < count) return;
            waiting.delete(look);
            resolve(got.slice(0, count).map(({ message }) => message as Message));
          };
          waiting.add(look);
          look();
        }),
      delivery(index) {
        const { delivery } = got[index] ?? {};
        if (delivery === undefined) throw new Error(`there is no delivery ${index}`);
        return delivery;
      },
      close: () => closed(link, 'receiver'),
    };
  }

  /** Attaches to send; without a target to the anonymous terminus. Rejects with the condition. */
  async sender(target: string | object = {}, session = this.connection.create_session()): Promise<Sender> {
    session.begin();
    const link = session.open_sender({ target, treat_modified_as_released: false } as never);
    await attached(link, 'sender');
    if (!link.sendable()) await once(link, 'sendable');
    return link;
  }

  /** Sends to an address, on a link of its own. */
  async send(to: string, message: Partial<Message>): Promise<Outcome> {
    const link = await this.sender();
    const outcome = await outcomeOf(link, { body: undefined, ...message, to });
    await closed(link, 'sender');
    return outcome;
  }

  async close(): Promise<void> {
    this.connection.close();
    await this.#ended.catch(() => {});
  }

  /** Ends it as a crash would. */
  kill(): void {
    const { connection } = this;
    const { socket, eof } = connection as unknown as { readonly socket: Socket; eof(): void };
    socket.destroy();
    // rhea does not notice, and would keep its timers.
    eof.call(connection);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.connection.is_open()) this.connection.close();
    const { socket } = this.connection as unknown as { readonly socket: Socket };
    if (!socket.destroyed) await once(socket, 'close');
  }
}

/** Sends on the link, and resolves with the broker's answer. */
export function outcomeOf(link: Sender, message: Message | Buffer, format?: number): Promise<Outcome> {
  const sent = link.send(message, undefined, format);
  return new Promise((resolve) => {
    for (const name of ['accepted', 'released', 'rejected', 'modified']) {
      link.on(name, ({ delivery }: EventContext) => {
        if (delivery !== sent) return;
        const { error } = (delivery.remote_state ?? {}) as { readonly error?: { readonly condition?: string } };
        resolve(error?.condition === undefined ? name : `${name} ${error.condition}`);
      });
    }
    link.on('sender_close', () => resolve(`detached ${conditionOf(link.error)}`));
  });
}

async function attached(link: Sender | Receiver, kind: 'sender' | 'receiver'): Promise<void> {
  const refused = once(link, `${kind}_close`);
  await once(link, `${kind}_open`);
  // A refused link is attached without a terminus, and detached with the reason.
  const terminus = kind === 'receiver' ? link.source : link.target;
  // rhea makes an object of the null that stands for it.
  if (terminus && 'address' in terminus) return;
  await refused;
  throw conditionOf(link.error);
}

async function closed(link: Sender | Receiver, kind: 'sender' | 'receiver'): Promise<void> {
  link.close();
  await once(link, `${kind}_close`);
}

export function conditionOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'condition' in error ? String(error.condition) : String(error);
}
