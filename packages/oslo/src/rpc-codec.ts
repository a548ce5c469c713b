import { MalformedError, type Message, type MessagingError, newId } from '@posthorn/core';
import type { Incoming, Reply, Request, RPCCodec } from '@posthorn/rpc';
import { type Inner, packContext, seal, unpackContext, unseal } from './envelope.ts';
import { decodeFailure, encodeFailure } from './failure.ts';
import { headersOf, withTrace } from './trace.ts';

/** Python's servers send a sign of life every N/2 whole seconds, so N must be at least this. */
export const LEAST_MONITOR_MS = 2_000;

/**
 * RPC as oslo.messaging 5 to 18 speaks it on RabbitMQ: envelope 2.0, ids and reply queue in the body.
 *
 * One id serves as `_msg_id` and `_unique_id`, and unless `strict` also as the message-id and correlation-id
 * properties, which Python ignores.
 */
export function osloRPC(strict: boolean): OsloRPC {
  // A reply is looked at for its id, next for its content, and parsed once.
  let last: { readonly message: Message; readonly inner: Inner } | undefined;
  return {
    codec: {
      encodeRequest: (request) => encodeRequest(request, strict),
      decodeRequest,
      encodeReply: (request, reply) => encodeReply(request, reply, strict),
      decodeReply(message) {
        const inner = last?.message === message ? last.inner : unseal(message);
        last = undefined;
        return decodeReply(inner);
      },
      leastMonitorMs: LEAST_MONITOR_MS,
      // Python's own calls are not mandatory: nobody serves the topic, and nobody is told.
      ...(strict && { profiles: { call: { unrouted: 'drop' } } }),
    },
    correlate(message) {
      const inner = unseal(message);
      last = { message, inner };
      const { _msg_id } = inner;
      return typeof _msg_id === 'string' ? _msg_id : undefined;
    },
  };
}

export interface OsloRPC {
  readonly codec: RPCCodec;
  /** Which call a reply answers: its `_msg_id`. */
  correlate(message: Message): string | undefined;
}

function encodeRequest(request: Request, strict: boolean): Message {
  const { id, method, args, namespace, version, replyTo, timeoutMs, monitorMs, context, headers } = request;
  if (args instanceof Uint8Array) throw new MalformedError('the arguments: bytes have no form on the oslo wire');
  const inner: Record<string, unknown> = { method, args };
  if (namespace !== undefined) inner['namespace'] = namespace;
  if (typeof version === 'string') inner['version'] = version;
  if (replyTo !== undefined) {
    inner['_msg_id'] = id;
    inner['_reply_q'] = replyTo;
    inner['_timeout'] = seconds(monitorMs);
  }
  inner['_unique_id'] = id;
  packContext(strict ? context : withTrace(context, headers), inner);
  const message = seal(inner);
  if (timeoutMs !== undefined) message.ttlMs = timeoutMs;
  if (strict) return message;
  if (headers !== undefined) message.headers = { ...headers };
  message.messageId = id;
  if (replyTo !== undefined) message.correlationId = id;
  return message;
}

export function seconds(monitorMs: number | undefined): number | null {
  return monitorMs === undefined ? null : Math.ceil(Math.max(monitorMs, LEAST_MONITOR_MS) / 1_000);
}

function decodeRequest(message: Message): Incoming {
  const inner = unseal(message);
  const { method, args = {}, namespace, version, _msg_id, _reply_q, _timeout, _unique_id } = inner;
  const deliveryId = typeof _unique_id === 'string' ? _unique_id : (message.messageId ?? newId());
  const headers = withoutCompression(message.headers);
  const context = unpackContext(inner);
  const awaited = typeof _msg_id === 'string' && typeof _reply_q === 'string';
  const request: Request = {
    id: awaited ? _msg_id : deliveryId,
    deliveryId,
    method: typeof method === 'string' ? method : '',
    namespace: typeof namespace === 'string' ? namespace : undefined,
    version: version === undefined || version === null ? version : String(version),
    args,
    context,
    replyTo: awaited ? _reply_q : undefined,
    timeoutMs: message.ttlMs,
    monitorMs: typeof _timeout === 'number' && _timeout > 0 ? _timeout * 1_000 : undefined,
    headers: headersOf(headers, context),
    problem: problemOf(method, args),
  };
  return { kind: 'request', request };
}

/** kombu's own. */
function withoutCompression(headers: Message['headers'] = {}): NonNullable<Message['headers']> {
  if (!('compression' in headers)) return headers;
  const { compression: _, ...rest } = headers;
  return rest;
}

export function problemOf(method: unknown, args: unknown): MessagingError | undefined {
  if (typeof method !== 'string' || method === '') return new MalformedError('a request without a method');
  if (typeof args !== 'object' || args === null || Array.isArray(args))
    return new MalformedError('the arguments are not an object');
  return undefined;
}

function encodeReply({ id }: Request, reply: Reply, strict: boolean): Message {
  const unique = newId();
  const inner: Inner = {
    result: reply.kind === 'result' || reply.kind === 'partial' ? resultOf(reply.value) : null,
    failure: reply.kind === 'failure' ? encodeFailure(reply.failure) : null,
    ending: reply.kind === 'result' || reply.kind === 'failure',
    _msg_id: id,
    _unique_id: unique,
  };
  const message = seal(inner);
  if (!strict) message.messageId = unique;
  return message;
}

export function resultOf(value: unknown): unknown {
  if (value instanceof Uint8Array) throw new MalformedError('the result: bytes have no form on the oslo wire');
  return value === undefined ? null : value;
}

function decodeReply({ result = null, failure, ending }: Inner): Reply {
  if (failure !== undefined && failure !== null && failure !== '')
    return { kind: 'failure', failure: decodeFailure(failure) };
  if (ending !== false) return { kind: 'result', value: result };
  return result === null ? { kind: 'heartbeat' } : { kind: 'partial', value: result };
}
