/**
 * The subset of amqplib in use, and the only file that imports it. Positional flags have names here, and what amqplib
 * leaves untyped has a type.
 */

import type { Socket } from 'node:net';
import type { HeaderValue } from '@posthorn/core';
import { connect, credentials } from 'amqplib';

export { credentials };

/** A method frame's fields, as far as we read them. */
export interface Incoming {
  readonly content: Buffer;
  readonly fields: {
    readonly deliveryTag: number;
    readonly redelivered: boolean;
    readonly exchange: string;
    readonly routingKey: string;
  };
  readonly properties: Properties;
}

export interface Properties {
  readonly contentType?: string | undefined;
  readonly contentEncoding?: string | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
  readonly deliveryMode?: number | undefined;
  readonly priority?: number | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly expiration?: string | undefined;
  readonly messageId?: string | undefined;
  readonly type?: string | undefined;
}

export interface Publish extends Properties {
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
  readonly mandatory: boolean;
}

export interface QueueOptions {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
}

/** What the broker tells of a queue. */
export interface Found {
  readonly queue: string;
  readonly messageCount: number;
  readonly consumerCount: number;
}

export interface Channel {
  on(event: 'error' | 'close' | 'handler-error', listener: (error?: Error) => void): void;
  on(event: 'return', listener: (message: Incoming) => void): void;
  close(): Promise<void>;
  assertExchange(name: string, type: string, options: { durable: boolean; autoDelete: boolean }): Promise<unknown>;
  checkExchange(name: string): Promise<unknown>;
  deleteExchange(name: string): Promise<unknown>;
  assertQueue(name: string, options: QueueOptions): Promise<Found>;
  checkQueue(name: string): Promise<Found>;
  bindQueue(queue: string, exchange: string, key: string): Promise<unknown>;
  unbindQueue(queue: string, exchange: string, key: string): Promise<unknown>;
  deleteQueue(name: string, options: { ifUnused: boolean; ifEmpty: boolean }): Promise<unknown>;
  prefetch(count: number): Promise<unknown>;
  consume(
    queue: string,
    receive: (message: Incoming | null) => void,
    options: { noAck: boolean },
  ): Promise<{ consumerTag: string }>;
  cancel(consumerTag: string): Promise<unknown>;
  /** False when the queue has nothing to deliver. */
  get(queue: string, options: { noAck: boolean }): Promise<Incoming | false>;
  /** Its number in frames. Not part of amqplib's public interface, as is all that follows. */
  readonly ch: number;
  /** Takes the next frame of a message: which one it waits for. */
  readonly handleMessage: unknown;
  emit(event: 'handler-error', error: unknown): void;
  /** Tells what becomes of the next message that is written on a confirmed channel. */
  pushConfirmCallback?(confirmed: (error: Error | null) => void): void;
}

/** An open connection, with the insides that reading and writing use. */
export interface Model {
  on(event: 'error' | 'close', listener: (error?: Error) => void): void;
  on(event: 'blocked', listener: (reason: string) => void): void;
  on(event: 'unblocked', listener: () => void): void;
  createChannel(): Promise<Channel>;
  createConfirmChannel(): Promise<Channel>;
  updateSecret(secret: Buffer, reason: string): Promise<unknown>;
  close(): Promise<void>;
  readonly connection: {
    on(event: 'handler-error', listener: (error?: Error) => void): void;
    readonly serverProperties: Readonly<Record<string, unknown>>;
    readonly stream?: Socket;
    /** The longest frame, with its overhead; 0 for no limit. */
    readonly frameMax: number;
    /** 0 for no limit. */
    readonly channelMax: number;
    /** In seconds; 0 for none. */
    readonly heartbeat: number;
    /** Whether a heartbeat can be left out. */
    sentSinceLastCheck: boolean;
    /** What was read from the socket, and is no frame yet. */
    rest: Buffer;
    /** Takes the frames that were read. */
    readonly accept: unknown;
    /** The next frame, or false where there is none yet. */
    recvFrame(): unknown;
  };
}

export interface Credentials {
  readonly mechanism: string;
  response(): Buffer;
}

export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly vhost: string;
  readonly heartbeatSeconds: number;
  readonly frameMax: number;
  /** Gives up connecting. amqplib's own time limit starts anew with each byte that the peer sends. */
  readonly signal: AbortSignal;
  readonly credentials: Credentials;
  readonly connectionName: string;
  /** `tls.connect` options; absent for plain TCP. */
  readonly tls?: Readonly<Record<string, unknown>> | undefined;
}

/** Opens one connection. amqplib's own recovery stays off: it restores neither channels nor consumers. */
export async function open(options: ConnectOptions): Promise<Model> {
  const model = await connect(
    {
      protocol: options.tls === undefined ? 'amqp' : 'amqps',
      hostname: options.host,
      port: options.port,
      // amqplib unescapes the vhost, also where it was never escaped.
      vhost: encodeURIComponent(options.vhost),
      heartbeat: options.heartbeatSeconds,
      frameMax: options.frameMax,
    },
    socketOptions(options),
  );
  return model as unknown as Model;
}

/** amqplib hands what it does not know to `net.connect` or `tls.connect`, though its types do not say so. */
function socketOptions(options: ConnectOptions): Record<string, unknown> {
  return {
    ...options.tls,
    credentials: options.credentials,
    signal: options.signal,
    noDelay: true,
    keepAlive: true,
    keepAliveDelay: 15_000,
    // Node 20's default of 16 KiB makes the multiplexer wait for `drain` all the time.
    writableHighWaterMark: 262_144,
    clientProperties: { connection_name: options.connectionName, product: 'posthorn' },
  };
}
