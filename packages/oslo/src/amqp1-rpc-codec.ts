import { bufferOf, MalformedError, type Message, newId } from '@posthorn/core';
import type { Incoming, Reply, Request, RPCCodec } from '@posthorn/rpc';
import { asObject, type Inner, openEnvelope, readObject } from './envelope.ts';
import { decodeFailure, encodeFailure } from './failure.ts';
import { stringify } from './json.ts';
import { LEAST_MONITOR_MS, problemOf, resultOf, seconds } from './rpc-codec.ts';
import { headersOf, withTrace } from './trace.ts';

/**
 * RPC as the amqp driver of oslo.messaging up to 14 speaks it: the body is JSON text of request and context, and the
 * properties of AMQP carry the id, the reply address and the time to live.
 *
 * Python also sends an absolute expiry time, which it takes from a clock that starts with the machine: brokers that look
 * at it drop each call at once. It is neither sent nor read here.
 */
export function amqp1RPC(strict: boolean): RPCCodec {
  return {
    encodeRequest: (request) => encodeRequest(request, strict),
    decodeRequest,
    encodeReply,
    decodeReply,
    leastMonitorMs: LEAST_MONITOR_MS,
    // Python's casts are settled when they are written: nobody hears what became of them.
    ...(strict && { profiles: { cast: { confirm: false, persistent: false } } }),
  };
}

function encodeRequest(request: Request, strict: boolean): Message {
  const { id, method, args, namespace, version, replyTo, timeoutMs, monitorMs, context, headers } = request;
  if (args instanceof Uint8Array) throw new MalformedError('the arguments: bytes have no form on the oslo wire');
  return {
    body: text({
      request: {
        method,
        args,
        ...(namespace !== undefined && { namespace }),
        ...(typeof version === 'string' && { version }),
      },
      context: strict ? context : withTrace(context, headers),
      ...(monitorMs !== undefined && { call_monitor_timeout: seconds(monitorMs) }),
    }),
    ...((replyTo !== undefined || !strict) && { messageId: id }),
    ...(replyTo !== undefined && { replyTo }),
    ...(timeoutMs !== undefined && { ttlMs: timeoutMs }),
    ...(!strict && headers !== undefined && { headers }),
  };
}

function decodeRequest(message: Message): Incoming {
  const { request: inner, context: given, call_monitor_timeout } = read(message);
  const { method, args = {}, namespace, version } = openEnvelope(asObject(inner, 'the request'));
  const context = asObject(given ?? {}, 'the context');
  const { messageId: id = newId(), replyTo, ttlMs: timeoutMs, headers = {} } = message;
  const request: Request = {
    id,
    method: typeof method === 'string' ? method : '',
    namespace: typeof namespace === 'string' ? namespace : undefined,
    version: version === undefined || version === null ? version : String(version),
    args,
    context,
    replyTo,
    timeoutMs,
    monitorMs:
      typeof call_monitor_timeout === 'number' && call_monitor_timeout > 0 ? call_monitor_timeout * 1_000 : undefined,
    headers: headersOf(headers, context),
    problem: problemOf(method, args),
  };
  return { kind: 'request', request };
}

function encodeReply({ id: correlationId, monitorMs }: Request, reply: Reply): Message {
  if (reply.kind === 'failure') return { body: text({ failure: encodeFailure(reply.failure) }), correlationId };
  if (reply.kind === 'result' || reply.kind === 'partial')
    return { body: text({ response: resultOf(reply.value) }), correlationId };
  return { body: NOTHING, correlationId, ...(monitorMs !== undefined && { ttlMs: monitorMs }) };
}

function decodeReply(message: Message): Reply {
  if (message.body.length === 0) return { kind: 'heartbeat' };
  const { failure, response = null } = read(message);
  if (failure !== undefined && failure !== null) return { kind: 'failure', failure: decodeFailure(failure) };
  return { kind: 'result', value: response };
}

const NOTHING = new Uint8Array(0);

function text(value: Inner): Uint8Array {
  return Buffer.from(stringify(value));
}

function read({ body }: Message): Inner {
  return readObject(bufferOf(body).toString(), 'the body');
}
