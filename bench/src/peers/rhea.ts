/**
 * The process of the twin on AMQP 1.0: a peer in plain rhea, as an expert would write it by hand for the same promises. It
 * shares nothing with Posthorn but the broker.
 */
import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import rhea, {
  type Connection,
  type Delivery,
  type EventContext,
  type Message,
  type Receiver,
  type Sender,
} from 'rhea';
import { obey, type Peer, type Role, type Setup, Tally } from '../peer.ts';
import {
  ARGS,
  type Args,
  CONTENT_TYPE,
  EVENT,
  METHOD,
  PAYLOAD,
  PREFETCH,
  PUBLISHER,
  reboot,
  TIMEOUT_MS,
} from '../work.ts';
import { corked } from './corker.ts';
import { Management } from './rhea-management.ts';

type Part = Omit<Peer, 'close' | 'broker'>;
type Methods = Readonly<Record<string, (args: Args) => unknown>>;

/** rhea's own would be full with 2,048 messages whose outcome is open. */
const SESSION_MESSAGES = 16_384;
const CREDIT_PORTION = PREFETCH / 4;
const SEND_TIMEOUT_MS = 30_000;
const SHARED = { durable: true, exclusive: false };

/** A connection, and what is to be called before each write. */
interface Line {
  readonly connection: Connection;
  readonly cork: () => void;
  /** RabbitMQ 4, which makes no queues by itself. */
  readonly management: Management | undefined;
  readonly untuned: boolean;
}

obey(async (setup) => {
  const line = await open(setup);
  const { connection, management } = line;
  const { product = 'a broker of AMQP 1.0', version = '' } = { ...connection.properties } as Record<string, string>;
  return {
    ...(await (roles[setup.role] ?? unknownRole)(line, setup)),
    broker: `${product} ${version}, AMQP 1.0`,
    close: async () => {
      await management?.deleteAll();
      const closed = event(connection, 'connection_close');
      connection.close();
      await closed;
    },
  };
});

const roles: Readonly<Partial<Record<Role, (line: Line, setup: Setup) => Promise<Part>>>> = {
  async caller(line, { topic }) {
    const { cork, management } = line;
    const waiters = new Waiters();
    const replyQueue = `reply/${randomUUID()}`;
    await management?.queue(replyQueue, { durable: false, exclusive: true });
    const receive = ({ message }: EventContext): void => {
      waiters.take(String(message?.correlation_id))?.resolve(parsed(message));
    };
    const receiver = await receiverOn(line, management ? addressOf(line, replyQueue) : undefined, receive, true);
    const replyTo = receiver.source.address;
    await management?.othersQueue(topic, SHARED);
    const send = await senderTo(line, addressOf(line, topic), (id) => {
      waiters.take(id)?.reject(new Error('unroutable'));
    });
    return {
      operate: () =>
        waiters.wait(TIMEOUT_MS, (id) => {
          cork();
          send(id, {
            message_id: id,
            correlation_id: id,
            subject: METHOD,
            reply_to: replyTo,
            content_type: CONTENT_TYPE,
            ttl: TIMEOUT_MS,
            body: content(ARGS),
          });
        }),
    };
  },

  async server(line, { topic }) {
    const { cork, management } = line;
    const methods: Methods = { [METHOD]: reboot };
    await management?.queue(topic, SHARED);
    const reply = await senderTo(line, undefined, () => undefined);
    await receiverOn(line, addressOf(line, topic), ({ message, delivery }) => {
      cork();
      delivery?.accept();
      if (message?.reply_to === undefined) return;
      const { subject = '', reply_to: to, correlation_id } = message;
      const result = methods[subject]?.(parsed(message) as Args);
      reply('', { to, correlation_id, content_type: CONTENT_TYPE, body: content(result) } as Message);
    });
    return {};
  },

  async caster(line, { topic }) {
    await line.management?.othersQueue(topic, SHARED);
    return await confirming(line, addressOf(line, topic), (id) => ({
      message_id: id,
      subject: METHOD,
      content_type: CONTENT_TYPE,
      durable: true,
      body: content(ARGS),
    }));
  },

  async sink(line, { topic }) {
    const { cork, management } = line;
    const tally = new Tally();
    const methods: Methods = { [METHOD]: () => tally.add() };
    await management?.queue(topic, SHARED);
    await receiverOn(line, addressOf(line, topic), ({ message, delivery }) => {
      cork();
      delivery?.accept();
      methods[message?.subject ?? '']?.(parsed(message) as Args);
    });
    return { tally };
  },

  async publisher(line, { topic, keep }) {
    const { management } = line;
    if (management !== undefined) {
      await management.exchange(topic);
      await management.queue(topic, { ...SHARED, ...(keep && { 'x-max-length': keep }) });
      await management.bind(topic, topic, '#');
    }
    const address = management ? `/exchanges/${encodeURIComponent(topic)}/${EVENT}` : topic;
    return await confirming(line, address, (id) => {
      const envelope = {
        message_id: id,
        publisher_id: PUBLISHER,
        timestamp: new Date().toISOString(),
        message_type: EVENT,
        message_type_version: '1.0',
        payload: PAYLOAD,
      };
      return { message_id: id, content_type: CONTENT_TYPE, durable: true, body: content(envelope) };
    });
  },
};

/** Sends messages whose outcome is waited for. */
async function confirming(line: Line, address: string, make: (id: string) => Message): Promise<Part> {
  const waiters = new Waiters();
  const failed = (id: string): void => waiters.take(id)?.reject(new Error('not accepted'));
  const send = await senderTo(line, address, failed, (id) => waiters.take(id)?.resolve(undefined));
  return {
    operate: () =>
      waiters.wait(SEND_TIMEOUT_MS, (id) => {
        line.cork();
        send(id, make(id));
      }),
  };
}

function unknownRole(_line: Line, { role }: Setup): never {
  throw new Error(`no ${role} was written with plain rhea`);
}

async function open({ url, untuned: how }: Setup): Promise<Line> {
  const untuned = how !== undefined;
  const { hostname, port, username, password } = new URL(url.replace(/^amqp1:/i, 'amqp:'));
  const connection = rhea.create_container({ id: randomUUID() }).connect({
    host: hostname,
    port: Number(port || 5_672),
    username: decodeURIComponent(username || 'guest'),
    password: decodeURIComponent(password || 'guest'),
    reconnect: false,
    idle_time_out: 30_000,
    // Missing in rhea's types.
    ...{ tcp_no_delay: how !== 'defaults' },
  });
  await event(connection, 'connection_open');
  connection.on('disconnected', () => {
    throw new Error('disconnected');
  });
  const { product, version = '' } = { ...connection.properties } as Record<string, string>;
  const isManaged = product === 'RabbitMQ' && Number.parseInt(version, 10) >= 4;
  const management = isManaged ? await Management.open(connection) : undefined;
  return { connection, cork: untuned ? () => undefined : corkerOf(connection), management, untuned };
}

/** rhea writes each frame by itself, in a tick: one immediate later all are out. */
function corkerOf(connection: Connection): () => void {
  const { socket } = connection as unknown as { readonly socket: Socket };
  return corked(socket, setImmediate);
}

function addressOf({ management }: Line, queue: string): string {
  return management === undefined ? queue : `/queues/${encodeURIComponent(queue)}`;
}

/** Receives with as much credit as Posthorn gives, from an address, or from one that the broker makes. */
async function receiverOn(
  { connection, untuned }: Line,
  address: string | undefined,
  receive: (context: EventContext) => void,
  replies = false,
): Promise<Receiver> {
  const session = connection.create_session(SESSION_MESSAGES);
  session.begin();
  const receiver = session.open_receiver({
    source: address === undefined ? { dynamic: true } : { address },
    credit_window: 0,
    // The reply queue dies with the connection: there is nothing that an acknowledgement could save.
    ...(replies ? { snd_settle_mode: 1, autoaccept: true } : { autoaccept: false }),
  });
  takeDeliveryCount(receiver);
  receiver.on('message', (context) => {
    receive(context);
    const owed = PREFETCH - (receiver as unknown as { readonly credit: number }).credit;
    if (owed >= (untuned ? 1 : CREDIT_PORTION)) receiver.add_credit(owed);
  });
  await event(receiver, 'receiver_open');
  receiver.add_credit(PREFETCH);
  return receiver;
}

type Send = (id: string, message: Message) => void;

/** Sends to an address, or where each message says; told what became of each. */
async function senderTo(
  { connection }: Line,
  address: string | undefined,
  failed: (id: string) => void,
  accepted: (id: string) => void = () => undefined,
): Promise<Send> {
  const session = connection.create_session(SESSION_MESSAGES);
  session.begin();
  const sender: Sender = session.open_sender({ target: address === undefined ? {} : { address } });
  const open = new Map<Delivery, string>();
  const waiting: [id: string, message: Message][] = [];
  const end = (told: (id: string) => void) => (context: EventContext) => {
    const { delivery } = context;
    const id = delivery && open.get(delivery);
    if (delivery === undefined || id === undefined) return;
    open.delete(delivery);
    told(id);
  };
  sender.on('accepted', end(accepted));
  for (const outcome of ['released', 'rejected', 'modified']) sender.on(outcome, end(failed));
  sender.on('sendable', () => {
    while (sender.sendable()) {
      const next = waiting.shift();
      if (next === undefined) return;
      write(...next);
    }
  });
  const write = (id: string, message: Message): void => void open.set(sender.send(message), id);
  await event(sender, 'sendable');
  return (id, message) => {
    if (waiting.length === 0 && sender.sendable()) write(id, message);
    else waiting.push([id, message]);
  };
}

/** rhea takes every sender to begin at 0; RabbitMQ 4.0 begins at 2^32 - 5, so that the credit would be wrong. */
function takeDeliveryCount(receiver: Receiver): void {
  interface Attach {
    readonly performative: { readonly initial_delivery_count?: number };
  }
  const link = receiver as unknown as { on_attach(frame: Attach): unknown };
  const attach = link.on_attach;
  let count = 0;
  Object.defineProperty(receiver, 'delivery_count', {
    get: () => count,
    set: (value: number) => {
      count = value >>> 0;
    },
  });
  link.on_attach = (frame) => {
    count = (frame.performative.initial_delivery_count ?? 0) >>> 0;
    return attach.call(receiver, frame);
  };
}

interface Waiter {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Who waits for an answer or an outcome, each until its deadline. */
class Waiters {
  readonly #waiters = new Map<string, Waiter>();

  wait(timeoutMs: number, write: (id: string) => void): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const id = randomUUID();
      const timer = setTimeout(() => this.take(id)?.reject(new Error('timeout')), timeoutMs);
      this.#waiters.set(id, { resolve, reject, timer });
      write(id);
    });
  }

  take(id: string): Waiter | undefined {
    const waiter = this.#waiters.get(id);
    if (waiter === undefined) return undefined;
    this.#waiters.delete(id);
    clearTimeout(waiter.timer);
    return waiter;
  }
}

function content(value: unknown): unknown {
  return rhea.message.data_section(Buffer.from(JSON.stringify(value)));
}

function parsed(message: Message | undefined): unknown {
  const body = message?.body as { readonly content: Buffer } | undefined;
  return JSON.parse(String(body?.content));
}

/** Resolves with the event, rejects with what ends it. */
function event(emitter: Connection | Receiver | Sender, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    emitter.once(name, () => resolve());
    for (const failure of ['connection_error', 'session_error', 'sender_error', 'receiver_error', 'disconnected'])
      emitter.once(failure, (context: EventContext) => reject(new Error(`${name}: ${failure} ${describe(context)}`)));
  });
}

function describe({ error, connection, session, sender, receiver }: EventContext): string {
  const told = error ?? sender?.error ?? receiver?.error ?? session?.error ?? connection?.error;
  return String((told as { description?: string } | undefined)?.description ?? told ?? '');
}
