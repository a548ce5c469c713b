import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import rhea, { type Connection, type EventContext, type Sender } from 'rhea';
import { waitFor } from './wait-for.ts';

/** One message as it came, its sections by their names in rhea. Absent: what was not written. */
export interface Transferred {
  /** The target of its link. */
  readonly address: string;
  readonly settled: boolean;
  readonly ttl?: number;
  readonly properties: Readonly<Record<string, unknown>>;
  /** Of application properties and annotations. */
  readonly headers: Readonly<Record<string, unknown>>;
  readonly durable: boolean;
  /** Text where it was an amqp-value of text, null where it was one of nothing. */
  readonly body: unknown;
}

const PROPERTIES = [
  'message_id',
  'user_id',
  'to',
  'subject',
  'reply_to',
  'correlation_id',
  'content_type',
  'content_encoding',
  'absolute_expiry_time',
  'creation_time',
  'group_id',
  'group_sequence',
  'reply_to_group_id',
] as const;

/** A small broker on rhea's listening side: it hands on what it gets to all who receive there, and keeps a record. */
export class Amqp1Recorder implements AsyncDisposable {
  readonly port: number;
  readonly transferred: Transferred[] = [];
  /** The addresses that clients receive from, but for dynamic ones. */
  readonly sources: string[] = [];
  readonly #server: Server;
  readonly #connections: Connection[] = [];
  readonly #senders = new Map<string, Set<Sender>>();
  #dynamic = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** @param product what it says it is */
  static async open(product: string | undefined): Promise<Amqp1Recorder> {
    const container = rhea.create_container();
    const server = container.listen({
      port: 0,
      host: '127.0.0.1',
      tcp_no_delay: true,
      ...(product !== undefined && { properties: { product } }),
    } as never) as unknown as Server;
    await once(server, 'listening');
    const recorder = new Amqp1Recorder(server);
    for (const event of ['error', 'disconnected', 'protocol_error']) container.on(event, () => {});
    container.on('connection_open', ({ connection }: EventContext) => void recorder.#connections.push(connection));
    container.on('receiver_open', ({ receiver }: EventContext) => {
      receiver?.set_target({ address: receiver.target?.address ?? '' });
    });
    container.on('sender_open', ({ sender }: EventContext) => void (sender && recorder.#attach(sender)));
    container.on('sender_draining', ({ sender }: EventContext) => void sender?.set_drained(true));
    container.on('message', (context: EventContext) => recorder.#take(context));
    return recorder;
  }

  get url(): string {
    return `amqp1://127.0.0.1:${this.port}`;
  }

  /** The first that fits, come already or still to come. */
  first(what: string, fits: (transferred: Transferred) => boolean): Promise<Transferred> {
    return waitFor(what, () => this.transferred.find(fits));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) {
      (connection as unknown as { readonly socket: Socket }).socket.destroy();
      // rhea would keep its timers.
      (connection as unknown as { eof(): void }).eof();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #attach(sender: Sender): void {
    const { source } = sender;
    const address = source.dynamic ? `dynamic-${++this.#dynamic}` : source.address;
    sender.set_source({ address, ...(source.dynamic && { dynamic: true }) });
    if (!source.dynamic) this.sources.push(address);
    const there = this.#senders.get(address) ?? new Set();
    this.#senders.set(address, there.add(sender));
  }

  #take({ message, delivery, receiver }: EventContext): void {
    const address = receiver?.target.address ?? '';
    if (message === undefined) return;
    const named: Readonly<Record<string, unknown>> = { ...message };
    const present = PROPERTIES.filter((name) => named[name] !== undefined && named[name] !== null);
    this.transferred.push({
      address,
      settled: Boolean(delivery?.remote_settled),
      ...(typeof message.ttl === 'number' && { ttl: message.ttl }),
      properties: Object.fromEntries(present.map((name) => [name, named[name]])),
      headers: { ...message.application_properties, ...message.message_annotations },
      durable: Boolean(message.durable),
      body: message.body,
    });
    for (const sender of this.#senders.get(address) ?? []) sender.send(message);
  }
}
