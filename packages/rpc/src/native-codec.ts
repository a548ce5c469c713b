import {
  type ContentCodec,
  type Context,
  type HeaderValue,
  MalformedError,
  type Message,
  MessagingError,
  messageOf,
} from '@posthorn/core';
import type { Control, Failure, Incoming, Part, Reply, Request, RPCCodec } from './codec.ts';
import { type Draft, decodeContent, encodeContent } from './native-content.ts';

/** Headers of ours; what else a request carries is the application's (`Request.headers`). */
const NAMESPACE = 'ph-namespace';
const VERSION = 'ph-version';
const CONTEXT = 'ph-context';
const MONITOR = 'ph-monitor-ms';
const CANCEL = 'ph-cancel';
const STATUS = 'ph-status';
const WINDOW = 'ph-window';
const GATHER = 'ph-gather';
const SERVER = 'ph-server';
const PART = 'ph-part';
const PARTS = 'ph-parts';
const CREDIT = 'ph-credit';
const OURS = 'ph-';

const NO_BYTES = new Uint8Array(0);
const NO_HEADERS: Readonly<Record<string, HeaderValue>> = {};

/**
 * The native wire: message-id is the request's id, correlation-id repeats it in replies, the type is the method, reply-to
 * and ttl are the standard properties, namespace, version and their like are headers, and the body is the arguments or the
 * result alone. Most requests have no headers: the table of them is what costs brokers and peers most of a message's head.
 *
 * A part of progress is a reply that can be answered itself: its message-id is the stream's id on the server, which what
 * the reader tells the producer has as its correlation-id.
 */
export function nativeCodec(contents: readonly ContentCodec[]): RPCCodec {
  return {
    encodeRequest: (request) => encodeRequest(contents, request),
    decodeRequest: (message) => decodeRequest(contents, message),
    encodeReply: (request, reply) => encodeReply(contents, request, reply),
    decodeReply: (message) => decodeReply(contents, message),
    encodeCancel: (id) => ({ body: NO_BYTES, headers: { [CANCEL]: id } }),
    control: {
      encode: ({ id }, control) => ({ body: NO_BYTES, correlationId: id, headers: controlHeaders(id, control) }),
      decode: decodeControl,
    },
    namesServers: true,
  };
}

function encodeRequest(contents: readonly ContentCodec[], request: Request): Message {
  const headers: Record<string, HeaderValue> = {};
  if (request.namespace !== undefined) headers[NAMESPACE] = request.namespace;
  if (typeof request.version === 'string') headers[VERSION] = request.version;
  if (request.monitorMs !== undefined) headers[MONITOR] = request.monitorMs;
  if (request.window !== undefined) headers[WINDOW] = request.window;
  if (request.gather) headers[GATHER] = true;
  for (const _ in request.context) {
    headers[CONTEXT] = encodeContext(request.context);
    break;
  }
  if (request.headers !== undefined) Object.assign(headers, request.headers);
  const message = encodeContent(contents, undefined, request.args, 'the arguments');
  for (const _ in headers) {
    message.headers = headers;
    break;
  }
  message.type = request.method;
  message.messageId = request.id;
  if (request.replyTo !== undefined) {
    message.replyTo = request.replyTo;
    message.correlationId = request.id;
  }
  if (request.timeoutMs !== undefined) message.ttlMs = request.timeoutMs;
  return message;
}

function decodeRequest(contents: readonly ContentCodec[], message: Message): Incoming {
  const headers = message.headers ?? {};
  const cancelled = headers[CANCEL];
  if (typeof cancelled === 'string') return { kind: 'cancel', id: cancelled };
  try {
    return { kind: 'request', request: readRequest(contents, message, headers) };
  } catch (error) {
    const problem = error instanceof MessagingError ? error : new MalformedError(messageOf(error));
    const { messageId: id = '', replyTo, ttlMs: timeoutMs, contentType } = message;
    const gather = headers[GATHER] === true;
    const request = { id, replyTo, timeoutMs, contentType, gather, method: '', args: {}, context: {}, problem };
    return { kind: 'request', request };
  }
}

function readRequest(
  contents: readonly ContentCodec[],
  message: Message,
  headers: Readonly<Record<string, HeaderValue>>,
): Request {
  if (message.messageId === undefined) throw new MalformedError('a request without a message id');
  const { type: method } = message;
  if (method === undefined || method === '') throw new MalformedError('a request without a type, which is its method');
  const args = decodeContent(contents, message, 'the arguments');
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw new MalformedError('the arguments are not an object');
  }
  const monitorMs = headers[MONITOR];
  if (monitorMs !== undefined && !(typeof monitorMs === 'number' && monitorMs > 0)) {
    throw new MalformedError(`the header ${MONITOR} is not a number above 0`);
  }
  const window = count(headers[WINDOW], WINDOW);
  const context = text(headers[CONTEXT], CONTEXT);
  return {
    id: message.messageId,
    method,
    namespace: text(headers[NAMESPACE], NAMESPACE),
    version: text(headers[VERSION], VERSION),
    args,
    context: context === undefined ? {} : decodeContext(context),
    replyTo: message.replyTo,
    timeoutMs: message.ttlMs,
    monitorMs,
    window,
    gather: headers[GATHER] === true,
    headers: foreign(headers),
    contentType: message.contentType,
  };
}

function encodeReply(contents: readonly ContentCodec[], request: Request, reply: Reply): Message {
  const message = encodeReplyContent(contents, request.contentType, reply);
  message.correlationId = request.id;
  const headers = replyHeaders(reply);
  if (headers !== undefined) message.headers = headers;
  if (reply.kind === 'progress') {
    message.messageId = reply.producer.id;
    message.replyTo = reply.producer.replyTo;
  }
  return message;
}

function replyHeaders(reply: Reply): Record<string, HeaderValue> | undefined {
  switch (reply.kind) {
    case 'heartbeat':
      return { [STATUS]: 'heartbeat' };
    case 'progress':
      return { [STATUS]: 'progress', [PART]: reply.part };
    case 'failure':
      return { [STATUS]: 'failure', ...(reply.server !== undefined && { [SERVER]: reply.server }) };
    case 'result': {
      const { parts, server } = reply;
      if (parts === undefined && server === undefined) return undefined;
      return { ...(parts !== undefined && { [PARTS]: parts }), ...(server !== undefined && { [SERVER]: server }) };
    }
    case 'partial':
      return undefined;
  }
}

function encodeReplyContent(contents: readonly ContentCodec[], wanted: string | undefined, reply: Reply): Draft {
  switch (reply.kind) {
    case 'heartbeat':
      return { body: NO_BYTES };
    case 'result':
    case 'partial':
      return encodeContent(contents, wanted, reply.value, 'the result');
    case 'progress':
      return encodeContent(contents, wanted, reply.value, 'the progress');
    case 'failure':
      return encodeContent(contents, wanted, reply.failure, 'the failure');
  }
}

function decodeReply(contents: readonly ContentCodec[], message: Message): Reply {
  const { headers = NO_HEADERS } = message;
  const status = headers[STATUS];
  if (status === 'heartbeat') return { kind: 'heartbeat' };
  const value = decodeContent(contents, message, 'the reply');
  if (status === 'progress') return asPart(value, message, headers);
  const server = text(headers[SERVER], SERVER);
  if (status === 'failure')
    return { kind: 'failure', failure: asFailure(value), ...(server !== undefined && { server }) };
  if (status !== undefined) throw new MalformedError(`a reply of unknown status ${status}`);
  const parts = count(headers[PARTS], PARTS);
  if (parts === undefined && server === undefined) return { kind: 'result', value };
  return { kind: 'result', value, ...(parts !== undefined && { parts }), ...(server !== undefined && { server }) };
}

function asPart(
  value: unknown,
  { messageId: id, replyTo }: Message,
  headers: Readonly<Record<string, HeaderValue>>,
): Part {
  const part = count(headers[PART], PART);
  if (id === undefined || replyTo === undefined || part === undefined)
    throw new MalformedError(`progress without a message id, a reply address or the header ${PART}`);
  return { kind: 'progress', value, part, producer: { id, replyTo } };
}

function controlHeaders(id: string, control: Control): Record<string, HeaderValue> {
  return control.kind === 'cancel' ? { [CANCEL]: id } : { [CREDIT]: control.granted };
}

function decodeControl({ headers = NO_HEADERS }: Message): Control {
  if (headers[CANCEL] !== undefined) return { kind: 'cancel' };
  const granted = count(headers[CREDIT], CREDIT);
  if (granted === undefined) throw new MalformedError('an answer to progress that is neither credit nor a cancel');
  return { kind: 'credit', granted };
}

/** Reads a failure from another process, which may send anything. */
function asFailure(value: unknown): Failure {
  const from: Readonly<Record<string, unknown>> = typeof value === 'object' && value !== null ? { ...value } : {};
  const { type, message, trace, kwargs } = from;
  return {
    type: typeof type === 'string' ? type : 'Error',
    message: typeof message === 'string' ? message : '',
    trace: Array.isArray(trace) ? trace.map(String) : [],
    ...(typeof kwargs === 'object' && kwargs !== null && { kwargs: { ...kwargs } }),
  };
}

function encodeContext(context: Context): string {
  try {
    return JSON.stringify(context);
  } catch (error) {
    throw new MalformedError(`the context: ${messageOf(error)}`, { cause: error });
  }
}

function decodeContext(encoded: string): Context {
  try {
    const context: unknown = JSON.parse(encoded);
    if (typeof context === 'object' && context !== null && !Array.isArray(context)) return { ...context };
  } catch {
    // Falls through: text that is not JSON is as wrong as JSON that is no object.
  }
  throw new MalformedError(`the header ${CONTEXT} is not a JSON object`);
}

function text(value: HeaderValue | undefined, name: string): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  throw new MalformedError(`the header ${name} is not a string`);
}

function count(value: HeaderValue | undefined, name: string): number | undefined {
  if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value > 0)) return value;
  throw new MalformedError(`the header ${name} is not a whole number above 0`);
}

function foreign(headers: Readonly<Record<string, HeaderValue>>): Record<string, HeaderValue> | undefined {
  let rest: Record<string, HeaderValue> | undefined;
  for (const name in headers) {
    const value = headers[name];
    if (name.startsWith(OURS) || value === undefined) continue;
    rest ??= {};
    rest[name] = value;
  }
  return rest;
}
