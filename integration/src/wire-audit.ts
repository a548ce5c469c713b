import { FieldReader, headerOf } from './amqp-content.ts';
import type { AmqpFrame } from './amqp-frames.ts';
import { type Direction, TcpProxy } from './tcp-proxy.ts';

/** How one message travelled, as its frames tell. */
export interface Journey {
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  durable: boolean;
  expires: boolean;
  /** Whether its channel asked for confirms, and whether this one came. */
  confirm: 'none' | 'awaited' | 'come';
  readonly arrivals: Arrival[];
}

/** One delivery of it. */
export interface Arrival {
  /** False: the consumer acknowledges nothing. */
  readonly acknowledged: boolean;
  settled: boolean;
}

/** What is known of one channel. */
interface Channel {
  writing: Journey | undefined;
  /** Undefined: it asked for no confirms. */
  published: number | undefined;
  readonly unconfirmed: Map<number, Journey>;
  readonly unsettled: Map<number, Arrival>;
  /** Whether the consumers that were asked for, and not named yet, acknowledge. */
  readonly consuming: boolean[];
  readonly consumers: Map<string, boolean>;
}

/** A proxy that follows messages one at a time: two of the same exchange and key under way at once are taken for one. */
export class WireAudit implements AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly #channels = new Map<string, Channel>();
  #journeys: Journey[] = [];

  private constructor(proxy: TcpProxy) {
    this.proxy = proxy;
    proxy.onFrame((frame, direction, connection) => this.#read(frame, direction, connection));
  }

  static async open(target: { host: string; port: number }): Promise<WireAudit> {
    return new WireAudit(await TcpProxy.open(target));
  }

  /** What was published since the last `forget`, in order. */
  get journeys(): readonly Journey[] {
    return this.#journeys;
  }

  forget(): void {
    this.#journeys = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.proxy.close();
  }

  #read(frame: AmqpFrame, direction: Direction, connection: number): void {
    const channel = this.#channel(`${connection}/${frame.channel}`);
    if (frame.kind === 'header' && direction === 'client->broker') return described(channel, frame.payload);
    if (frame.kind !== 'method') return;
    const fields = new FieldReader(frame.payload, 4); // class, method
    switch (`${direction} ${frame.name}`) {
      case 'client->broker confirm.select':
        channel.published ??= 0;
        return;
      case 'client->broker basic.publish':
        return this.#publish(channel, fields);
      case 'broker->client basic.ack':
        return settle(channel.unconfirmed, fields, (journey) => {
          journey.confirm = 'come';
        });
      case 'client->broker basic.consume':
        fields.integer(2);
        fields.text(1);
        fields.text(1);
        channel.consuming.push((fields.integer(1) & 2) === 0);
        return;
      case 'broker->client basic.consume-ok':
        channel.consumers.set(fields.text(1), channel.consuming.shift() ?? true);
        return;
      case 'broker->client basic.deliver':
        return this.#deliver(channel, fields);
      case 'client->broker basic.ack':
        return settle(channel.unsettled, fields, (arrival) => {
          arrival.settled = true;
        });
    }
  }

  #publish(channel: Channel, fields: FieldReader): void {
    fields.integer(2);
    const [exchange, routingKey] = [fields.text(1), fields.text(1)];
    const journey: Journey = {
      exchange,
      routingKey,
      mandatory: (fields.integer(1) & 1) !== 0,
      durable: false,
      expires: false,
      confirm: channel.published === undefined ? 'none' : 'awaited',
      arrivals: [],
    };
    channel.writing = journey;
    if (channel.published !== undefined) channel.unconfirmed.set(++channel.published, journey);
    this.#journeys.push(journey);
  }

  #deliver(channel: Channel, fields: FieldReader): void {
    const consumer = fields.text(1);
    const tag = fields.integer(8);
    fields.integer(1);
    const [exchange, routingKey] = [fields.text(1), fields.text(1)];
    const journey = this.#journeys.findLast((one) => one.exchange === exchange && one.routingKey === routingKey);
    const arrival = { acknowledged: channel.consumers.get(consumer) ?? true, settled: false };
    if (arrival.acknowledged) channel.unsettled.set(tag, arrival);
    journey?.arrivals.push(arrival);
  }

  #channel(key: string): Channel {
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    const channel: Channel = {
      writing: undefined,
      published: undefined,
      unconfirmed: new Map(),
      unsettled: new Map(),
      consuming: [],
      consumers: new Map(),
    };
    this.#channels.set(key, channel);
    return channel;
  }
}

function described({ writing }: Channel, header: Buffer): void {
  if (writing === undefined) return;
  const { properties } = headerOf(header);
  writing.durable = properties['deliveryMode'] === 2;
  writing.expires = 'expiration' in properties;
}

/** An acknowledgement: of one tag, or of all up to it. */
function settle<T>(open: Map<number, T>, fields: FieldReader, mark: (item: T) => void): void {
  const last = fields.integer(8);
  const multiple = fields.integer(1) !== 0;
  for (const [tag, item] of open) {
    if (tag !== last && !(multiple && (tag < last || last === 0))) continue;
    open.delete(tag);
    mark(item);
  }
}
