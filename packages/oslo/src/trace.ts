import type { Context, HeaderValue } from '@posthorn/core';

type Headers = Readonly<Record<string, HeaderValue>>;

const KEYS = ['traceparent', 'tracestate'];

/**
 * The context that tells Python where in a trace a message is: oslo.messaging 18.3 and later look for it there. A context
 * that was passed on may hold what came with an earlier message: the headers are right.
 */
export function withTrace(context: Context, headers: Headers | undefined): Context {
  if (headers?.['traceparent'] === undefined) return context;
  const { traceparent: _, tracestate: __, ...rest } = context;
  return { ...rest, ...traceOf(headers) };
}

/** The headers of a message from Python, which tells by the context alone. */
export function headersOf(headers: Headers, context: Context): Headers {
  if (context['traceparent'] === undefined || headers['traceparent'] !== undefined) return headers;
  return { ...headers, ...traceOf(context) };
}

function traceOf(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const known: Record<string, string> = {};
  for (const key of KEYS) {
    const value = values[key];
    if (typeof value === 'string') known[key] = value;
  }
  return known;
}
