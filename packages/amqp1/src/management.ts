import {
  AccessError,
  type Comparison,
  ConfigError,
  ConnectionError,
  type Declaration,
  DeliveryError,
  type Inspection,
  type MessagingError,
} from '@posthorn/core';
import { onceMade } from './errors.ts';
import type { Attached, Link } from './link.ts';
import type { Binding, ExchangeDeclaration, QueueDeclaration } from './profile.ts';
import {
  type DecodedMessage,
  decodeFully,
  forget,
  openReceiver,
  openSender,
  pairLinks,
  type Receiver,
  roomOf,
  type Sender,
  settle,
} from './rhea.ts';

const NODE = '/management';
const NAME = 'management-link-pair';
const IN_FLIGHT = 16;
/** RabbitMQ 4.0 ends the session where two declare one queue at the same time. All requests may be made twice. */
const ATTEMPTS = 3;
/** A node that is down keeps RabbitMQ 4 from answering for a minute, and all that was asked after it. */
const STALL_MS = 3_000;

interface Request {
  readonly method: 'PUT' | 'POST' | 'GET' | 'DELETE';
  readonly path: string;
  readonly body: object | null;
  readonly resolve: (response: Response) => void;
  readonly reject: (error: Error) => void;
}

export interface Declared {
  readonly same: boolean;
  /** How it differs, in the words of the broker. */
  readonly reason?: string | undefined;
  readonly consumers: number;
}

interface Response {
  readonly status: number;
  readonly body: unknown;
}

/**
 * The management node of RabbitMQ 4: HTTP-like requests over a pair of links. One pair serves a connection; where it does
 * not answer, what waits goes to another.
 */
export class Management {
  readonly #link: Link;
  readonly #line = new Set<Request>();
  #pair: Pair | undefined;
  #opening = false;

  constructor(link: Link) {
    this.#link = link;
  }

  /** Tells whether the queue has these attributes, where it was there already, and who consumes from it. */
  async declareQueue(queue: QueueDeclaration): Promise<Declared> {
    const { name, durable, exclusive, autoDelete = false, arguments: args } = queue;
    const body = { durable, exclusive, auto_delete: autoDelete, arguments: args };
    const { status, body: answer } = await onceMade(ATTEMPTS, () =>
      this.#request('PUT', `/queues/${encode(name)}`, body, `declaring queue ${name}`, 409),
    );
    return {
      same: status !== 409,
      reason: typeof answer === 'string' ? answer : undefined,
      consumers: countIn(answer, 'consumer_count'),
    };
  }

  async checkQueue(name: string): Promise<void> {
    await this.#request('GET', `/queues/${encode(name)}`, null, `checking queue ${name}`);
  }

  async inspectQueue(name: string): Promise<Inspection> {
    const { status, body } = await this.#request(
      'GET',
      `/queues/${encode(name)}`,
      null,
      `looking at queue ${name}`,
      404,
    );
    return {
      exists: status !== 404,
      ready: countIn(body, 'message_count'),
      consumers: countIn(body, 'consumer_count'),
    };
  }

  /** As `declareExchange`, but one that is there with other attributes is an answer. */
  async makeExchange({
    name,
    type,
    durable,
    autoDelete,
  }: Extract<Declaration, { kind: 'exchange' }>): Promise<Comparison> {
    const body = { type, durable, auto_delete: autoDelete, internal: false, arguments: {} };
    const response = await this.#request('PUT', `/exchanges/${encode(name)}`, body, `declaring exchange ${name}`, 409);
    return response.status === 409 ? { state: 'differs', reason: String(response.body) } : { state: 'same' };
  }

  /** Also what is gone already. */
  async remove(declaration: Declaration): Promise<void> {
    if (declaration.kind === 'binding') {
      const { exchange, queue, key } = declaration;
      return await this.#unbind(queue, { exchange: { name: exchange, type: 'topic' }, key });
    }
    const { kind, name } = declaration;
    await this.#request('DELETE', `/${kind}s/${encode(name)}`, null, `deleting ${kind} ${name}`, 404);
  }

  /**
   * What the only consumer of a queue leaves of it. A successor that consumes already keeps its bindings, and one that comes
   * later binds after it consumes.
   */
  async leaveQueue({ name, onClose }: QueueDeclaration, bindings: readonly Binding[]): Promise<void> {
    if (onClose === 'delete') {
      await this.#request('DELETE', `/queues/${encode(name)}`, null, `deleting queue ${name}`, 404);
      return;
    }
    if (await this.#isUsed(name)) return;
    for (const binding of bindings) await this.#unbind(name, binding);
    if (await this.#isUsed(name)) for (const binding of bindings) await this.bind(name, binding);
  }

  async #isUsed(name: string): Promise<boolean> {
    const { body } = await this.#request('GET', `/queues/${encode(name)}`, null, `checking queue ${name}`, 404);
    return countIn(body, 'consumer_count') > 0;
  }

  async declareExchange({ name, type, durable = true, autoDelete = false }: ExchangeDeclaration): Promise<void> {
    const body = { type, durable, auto_delete: autoDelete, internal: false, arguments: {} };
    await this.#request('PUT', `/exchanges/${encode(name)}`, body, `declaring exchange ${name}`);
  }

  async bind(queue: string, { exchange, key }: Binding): Promise<void> {
    const body = { source: exchange.name, destination_queue: queue, binding_key: key, arguments: {} };
    await this.#request('POST', '/bindings', body, `binding queue ${queue}`);
  }

  async #unbind(queue: string, { exchange, key }: Binding): Promise<void> {
    const path = `/bindings/src=${encode(exchange.name)};dstq=${encode(queue)};key=${encode(key)};args=`;
    await this.#request('DELETE', path, null, `unbinding queue ${queue}`, 404);
  }

  async #request(
    method: Request['method'],
    path: string,
    body: object | null,
    what: string,
    ...fine: readonly number[]
  ): Promise<Response> {
    for (let left = ATTEMPTS; ; left--) {
      let withdraw = (): void => {};
      const answered = new Promise<Response>((resolve, reject) => {
        const request = { method, path, body, resolve, reject };
        this.#line.add(request);
        withdraw = () => void this.#line.delete(request);
      });
      this.#pump();
      try {
        const response = await this.#link.guard(answered, what);
        if (response.status < 300 || fine.includes(response.status)) return response;
        throw statusError(response, what);
      } catch (error) {
        withdraw();
        if (!(error instanceof PairLost) || left === 0 || this.#link.down !== undefined) throw error;
      }
    }
  }

  #pump(): void {
    if (this.#pair === undefined || this.#pair.stalled) return void this.#open();
    for (const request of this.#line) {
      if (!this.#pair.hasRoom) return;
      this.#line.delete(request);
      this.#pair.send(request);
    }
  }

  async #open(): Promise<void> {
    if (this.#opening || this.#line.size === 0) return;
    this.#opening = true;
    const retired = this.#pair;
    try {
      this.#pair = await Pair.open(this.#link, () => this.#pump());
      retired?.retire();
    } catch (error) {
      for (const { reject } of this.#line) reject(error as Error);
      this.#line.clear();
    } finally {
      this.#opening = false;
    }
    this.#pump();
  }
}

/** Two links of one name, over which requests go and responses come. */
class Pair {
  readonly #link: Link;
  readonly #onRoom: () => void;
  readonly #waiting = new Map<string, Request>();
  #sender: Attached<Sender> | undefined;
  #receiver: Attached<Receiver> | undefined;
  #ids = 0;
  #stall: NodeJS.Timeout | undefined;
  #stalled = false;
  #retired = false;

  private constructor(link: Link, onRoom: () => void) {
    this.#link = link;
    this.#onRoom = onRoom;
  }

  static async open(link: Link, onRoom: () => void): Promise<Pair> {
    const pair = new Pair(link, onRoom);
    await pair.#attach();
    return pair;
  }

  /** Gone, or silent for so long that it is better not to wait for it. */
  get stalled(): boolean {
    return this.#stalled || !this.#sender?.open || !this.#receiver?.open;
  }

  get hasRoom(): boolean {
    return this.#sender !== undefined && this.#waiting.size < IN_FLIGHT && roomOf(this.#sender.link) > 0;
  }

  send(request: Request): void {
    const id = `m${++this.#ids}`;
    this.#waiting.set(id, request);
    this.#watch();
    this.#link.flusher.touch();
    const { method, path, body } = request;
    const message = { message_id: id, to: path, subject: method, reply_to: '$me', body };
    const delivery = this.#sender?.link.send(message);
    if (delivery !== undefined) forget(delivery);
  }

  /** Another pair is in use: this one goes once it owes nothing. */
  retire(): void {
    this.#retired = true;
    if (this.#waiting.size === 0) this.#close();
  }

  async #attach(): Promise<void> {
    const what = 'attaching to the management node';
    const onGone = (error: Error): void => this.#gone(error);
    const node = { address: NODE };
    const properties = { paired: true };
    const receiver = await this.#link.attach(
      (session) =>
        openReceiver(pairLinks(session), { name: NAME, source: node, target: node, properties, presettled: true }),
      what,
      // A broker that is blocked closes the window of the session; no link hears that it opens again.
      { onGone, onWindow: (window) => window > 0 && this.#onRoom() },
    );
    this.#receiver = receiver;
    const sender = await this.#link.attach(
      (session) => openSender(session, { name: NAME, address: NODE, properties, presettled: true }),
      what,
      { onGone, session: receiver.link.session },
    );
    this.#sender = sender;
    receiver.link.on('message', ({ message, delivery }) => {
      if (delivery !== undefined) settle(delivery, 'accepted');
      if (message instanceof Uint8Array) this.#answered(decodeFully(message));
    });
    sender.link.on('sendable', this.#onRoom);
    receiver.link.add_credit(IN_FLIGHT);
    // rhea writes transfers before flows of the same turn: the credit must be there before the first request.
    await new Promise((resolve) => setImmediate(resolve));
  }

  #answered({ correlation_id, subject, body }: DecodedMessage): void {
    const id = String(correlation_id);
    const request = this.#waiting.get(id);
    if (request === undefined) return;
    this.#waiting.delete(id);
    this.#receiver?.link.add_credit(1);
    this.#watch();
    request.resolve({ status: Number(subject), body });
    if (this.#retired && this.#waiting.size === 0) this.#close();
    else this.#onRoom();
  }

  #watch(): void {
    clearTimeout(this.#stall);
    this.#stalled = false;
    if (this.#waiting.size === 0) return;
    this.#stall = setTimeout(() => {
      this.#stalled = true;
      this.#onRoom();
    }, STALL_MS).unref();
  }

  #gone(error: Error): void {
    clearTimeout(this.#stall);
    for (const { reject } of this.#waiting.values()) reject(new PairLost(error.message, { cause: error }));
    this.#waiting.clear();
  }

  #close(): void {
    clearTimeout(this.#stall);
    void this.#sender?.close();
    void this.#receiver?.close();
  }
}

class PairLost extends ConnectionError {}

function statusError({ status, body }: Response, what: string): MessagingError {
  const text = `${what}: ${typeof body === 'string' ? body : `status ${status}`}`;
  switch (status) {
    case 401:
    case 403:
      return new AccessError(text);
    case 400:
    case 404:
    case 409:
      return new ConfigError('', text);
    default:
      return status >= 500 ? new ConnectionError(text) : new DeliveryError(text);
  }
}

function countIn(body: unknown, field: string): number {
  if (typeof body !== 'object' || body === null) return 0;
  return Number((body as Readonly<Record<string, unknown>>)[field] ?? 0);
}

function encode(name: string): string {
  return encodeURIComponent(name);
}
