import {
  BINARY,
  type ContentCodec,
  type Context,
  type HeaderValue,
  MalformedError,
  type Message,
  MessagingError,
  messageOf,
} from '@posthorn/core';
import type { Failure, Incoming, Reply, Request, RPCCodec } from './codec.ts';

/** Headers of ours; what else a request carries is the application's (`Request.headers`). */
const METHOD = 'ph-method';
const NAMESPACE = 'ph-namespace';
const VERSION = 'ph-version';
const CONTEXT = 'ph-context';
const MONITOR = 'ph-monitor-ms';
const CANCEL = 'ph-cancel';
const STATUS = 'ph-status';
const OURS = /^ph-/;

const NO_BYTES = new Uint8Array(0);

/** A message in the making. Filled field by field: spreading optional parts into a literal costs more than all else. */
type Draft = { -readonly [Field in keyof Message]: Message[Field] };

/**
 * The native wire: message-id is the request's id, correlation-id repeats it in replies, reply-to and ttl are the
 * standard properties, the method and its like are headers, and the body is the arguments or the result alone.
 */
export function nativeCodec(contents: readonly ContentCodec[]): RPCCodec {
  return {
    encodeRequest: (request) => encodeRequest(contents, request),
    decodeRequest: (message) => decodeRequest(contents, message),
    encodeReply: (request, reply) => encodeReply(contents, request, reply),
    decodeReply: (message) => decodeReply(contents, message),
    encodeCancel: (id) => ({ body: NO_BYTES, headers: { [CANCEL]: id } }),
  };
}

function encodeRequest(contents: readonly ContentCodec[], request: Request): Message {
  const headers: Record<string, HeaderValue> = { [METHOD]: request.method };
  if (request.namespace !== undefined) headers[NAMESPACE] = request.namespace;
  if (typeof request.version === 'string') headers[VERSION] = request.version;
  if (request.monitorMs !== undefined) headers[MONITOR] = request.monitorMs;
  for (const _ in request.context) {
    headers[CONTEXT] = encodeContext(request.context);
    break;
  }
  if (request.headers !== undefined) Object.assign(headers, request.headers);
  const message = encodeContent(contents, undefined, request.args, 'the arguments');
  message.headers = headers;
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
    const request = { id, replyTo, timeoutMs, contentType, method: '', args: {}, context: {}, problem };
    return { kind: 'request', request };
  }
}

function readRequest(
  contents: readonly ContentCodec[],
  message: Message,
  headers: Readonly<Record<string, HeaderValue>>,
): Request {
  if (message.messageId === undefined) throw new MalformedError('a request without a message id');
  const method = text(headers, METHOD);
  if (method === undefined || method === '') throw new MalformedError(`a request without the header ${METHOD}`);
  const args = decodeContent(contents, message, 'the arguments');
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw new MalformedError('the arguments are not an object');
  }
  const monitorMs = headers[MONITOR];
  if (monitorMs !== undefined && !(typeof monitorMs === 'number' && monitorMs > 0)) {
    throw new MalformedError(`the header ${MONITOR} is not a number above 0`);
  }
  const context = text(headers, CONTEXT);
  return {
    id: message.messageId,
    method,
    namespace: text(headers, NAMESPACE),
    version: text(headers, VERSION),
    args,
    context: context === undefined ? {} : decodeContext(context),
    replyTo: message.replyTo,
    timeoutMs: message.ttlMs,
    monitorMs,
    headers: foreign(headers),
    contentType: message.contentType,
  };
}

function encodeReply(contents: readonly ContentCodec[], request: Request, reply: Reply): Message {
  const message = encodeReplyContent(contents, request.contentType, reply);
  message.correlationId = request.id;
  if (reply.kind === 'heartbeat' || reply.kind === 'failure') message.headers = { [STATUS]: reply.kind };
  return message;
}

function encodeReplyContent(contents: readonly ContentCodec[], wanted: string | undefined, reply: Reply): Draft {
  switch (reply.kind) {
    case 'heartbeat':
      return { body: NO_BYTES };
    case 'result':
    case 'partial':
      return encodeContent(contents, wanted, reply.value, 'the result');
    case 'failure':
      return encodeContent(contents, wanted, reply.failure, 'the failure');
  }
}

function decodeReply(contents: readonly ContentCodec[], message: Message): Reply {
  const status = message.headers?.[STATUS];
  if (status === 'heartbeat') return { kind: 'heartbeat' };
  const value = decodeContent(contents, message, 'the reply');
  if (status === undefined) return { kind: 'result', value };
  if (status !== 'failure') throw new MalformedError(`a reply of unknown status ${status}`);
  return { kind: 'failure', failure: asFailure(value) };
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

function encodeContent(
  contents: readonly ContentCodec[],
  wanted: string | undefined,
  value: unknown,
  what: string,
): Draft {
  if (value instanceof Uint8Array) return { body: value, contentType: BINARY };
  const codec = contents.find(({ contentType }) => contentType === wanted) ?? contents[0];
  if (codec === undefined) throw new MalformedError('no content codec');
  try {
    return { body: codec.encode(value), contentType: codec.contentType };
  } catch (error) {
    throw new MalformedError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

function decodeContent(contents: readonly ContentCodec[], { body, contentType }: Message, what: string): unknown {
  // The body shares memory with the connection's read buffer: what is kept must be a copy.
  if (contentType === BINARY) return Uint8Array.prototype.slice.call(body);
  const codec = contents.find((one) => one.contentType === contentType);
  if (codec === undefined) throw new MalformedError(`${what} are of the unknown content type ${contentType}`);
  try {
    return codec.decode(body);
  } catch (error) {
    throw new MalformedError(`${what} are not ${contentType}: ${messageOf(error)}`, { cause: error });
  }
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

function text(headers: Readonly<Record<string, HeaderValue>>, name: string): string | undefined {
  const value = headers[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new MalformedError(`the header ${name} is not a string`);
}

function foreign(headers: Readonly<Record<string, HeaderValue>>): Record<string, HeaderValue> | undefined {
  let rest: Record<string, HeaderValue> | undefined;
  for (const name of Object.keys(headers)) {
    const value = headers[name];
    if (OURS.test(name) || value === undefined) continue;
    rest ??= {};
    rest[name] = value;
  }
  return rest;
}
