import { type Activity, MessagingError, type Transport } from '@posthorn/core';

/**
 * The names of OpenTelemetry's semantic conventions for messaging, as of version 1.44. They are not stable yet: 1.45 has
 * `messaging.system.name`.
 */
export const names = {
  system: 'messaging.system',
  operationName: 'messaging.operation.name',
  operationType: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  messageId: 'messaging.message.id',
  batchSize: 'messaging.batch.message_count',
  rpcSystem: 'rpc.system',
  rpcMethod: 'rpc.method',
  brokerHost: 'server.address',
  brokerPort: 'server.port',
  error: 'error.type',
  /** Ours: an event type, the type of a message. */
  name: 'posthorn.name',
  /** Ours: the server that a message is for, or that has it. */
  server: 'posthorn.server',
} as const;

export const metricNames = {
  operationDuration: 'messaging.client.operation.duration',
  sentMessages: 'messaging.client.sent.messages',
  consumedMessages: 'messaging.client.consumed.messages',
  processDuration: 'messaging.process.duration',
} as const;

/** The buckets that the conventions ask for, in seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
];

export type Direction = 'send' | 'process';

type Attributes = Record<string, string | number>;

/** What spans and metrics say alike: few values of each. */
export function commonAttributes(activity: Activity): Attributes {
  const { transport, operation } = activity;
  const attributes: Attributes = {
    [names.system]: systemOf(transport),
    [names.operationName]: operation,
    [names.destination]: destinationOf(activity),
  };
  const { status } = transport;
  const [, host, port] = (status.state === 'connected' && BROKER.exec(status.host)) || [];
  if (host !== undefined) {
    attributes[names.brokerHost] = host;
    attributes[names.brokerPort] = Number(port);
  }
  return attributes;
}

/** What spans say: the content of messages is none of it, and neither is their context. */
export function spanAttributes(activity: Activity, direction: Direction, common: Readonly<Attributes>): Attributes {
  const { pattern, name, server, id, batch } = activity;
  const attributes: Attributes = { ...common };
  attributes[names.operationType] = direction;
  if (pattern === 'rpc') {
    attributes[names.rpcSystem] = 'posthorn';
    attributes[names.rpcMethod] = name;
  } else attributes[names.name] = name;
  if (server !== undefined) attributes[names.server] = server;
  if (id !== undefined) attributes[names.messageId] = id;
  if (batch !== undefined) attributes[names.batchSize] = batch.length;
  return attributes;
}

export function destinationOf({ exchange, topic }: Pick<Activity, 'exchange' | 'topic'>): string {
  return exchange === undefined || exchange === '' ? topic : `${exchange}:${topic}`;
}

/** Of a `MessagingError` its code, of other errors their name. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof MessagingError) return error.code;
  return error instanceof Error ? error.name : '_OTHER';
}

const BROKER = /^\[?(.+?)\]?:(\d+)$/;
const SYSTEMS: Readonly<Record<string, string>> = { rabbit: 'rabbitmq', 'apache-activemq-artemis': 'artemis' };

function systemOf({ name, product = name }: Transport): string {
  return SYSTEMS[product] ?? product.toLowerCase();
}
