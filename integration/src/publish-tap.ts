import { type ContentHeader, FieldReader, headerOf } from './amqp-content.ts';
import type { AmqpFrame } from './amqp-frames.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** One message as a client published it. */
export interface Published {
  /** Counts the connections through the tap from 1. */
  readonly connection: number;
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  readonly immediate: boolean;
  /** What was set, by the names that amqplib uses; the headers apart. */
  readonly properties: Readonly<Record<string, string | number>>;
  /** Undefined when the message has no header table, not even an empty one. */
  readonly headers: Readonly<Record<string, unknown>> | undefined;
  readonly body: Buffer;
}

interface Unfinished {
  readonly exchange: string;
  readonly routingKey: string;
  readonly bits: number;
  header?: ContentHeader;
  readonly body: Buffer[];
}

interface Waiter {
  readonly matches: (message: Published) => boolean;
  readonly resolve: (message: Published) => void;
}

/** A proxy that reads every message its clients publish, flags included: what a consumer cannot see. */
export class PublishTap implements AsyncDisposable {
  /** The proxy underneath, for its faults. */
  readonly proxy: TcpProxy;
  /** Everything published so far, in the order of arrival. */
  readonly published: Published[] = [];
  readonly #open = new Map<string, Unfinished>();
  readonly #waiters = new Set<Waiter>();

  private constructor(proxy: TcpProxy) {
    this.proxy = proxy;
    proxy.onFrame((frame, direction, connection) => {
      if (direction === 'client->broker') this.#read(frame, connection);
    });
  }

  static async open(target: { host: string; port: number }): Promise<PublishTap> {
    return new PublishTap(await TcpProxy.open(target));
  }

  get port(): number {
    return this.proxy.port;
  }

  /** Resolves with the next message from now on that matches. */
  next(matches: (message: Published) => boolean): Promise<Published> {
    return new Promise((resolve) => this.#waiters.add({ matches, resolve }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
  }

  #read(frame: AmqpFrame, connection: number): void {
    const key = `${connection}/${frame.channel}`;
    if (frame.name === 'basic.publish') return void this.#open.set(key, publishOf(frame.payload));
    const partial = this.#open.get(key);
    if (partial === undefined) return;
    if (frame.kind === 'header') partial.header = headerOf(frame.payload);
    else if (frame.kind === 'body') partial.body.push(Buffer.from(frame.payload));
    if (partial.header === undefined) return;
    const body = Buffer.concat(partial.body);
    if (body.length < partial.header.size) return;
    this.#open.delete(key);
    const { exchange, routingKey, bits } = partial;
    const { properties, headers } = partial.header;
    const [mandatory, immediate] = [(bits & 1) !== 0, (bits & 2) !== 0];
    this.#tell({ connection, exchange, routingKey, mandatory, immediate, properties, headers, body });
  }

  #tell(message: Published): void {
    this.published.push(message);
    for (const waiter of this.#waiters) {
      if (!waiter.matches(message)) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(message);
    }
  }
}

function publishOf(payload: Buffer): Unfinished {
  const reader = new FieldReader(payload, 6); // class, method, a reserved field
  return { exchange: reader.text(1), routingKey: reader.text(1), bits: reader.integer(1), body: [] };
}
