import type { HeaderValue } from '@posthorn/core';
import type { EntryPoint } from './entry-point.ts';
import { type ErrorPayload, errorPayload } from './errors.ts';

/** Parameters by name. */
export type Params = Readonly<Record<string, unknown>>;
export type ServiceHeaders = Readonly<Record<string, HeaderValue>>;

interface Fields {
  /** Unique to this message. */
  readonly messageId: string;
  /** The same along a whole chain of requests, answers and notifications. */
  readonly correlationId: string;
  /** The same for a request and what answers it. */
  readonly requestId: string;
  /** The entry point that sent it. */
  readonly source: EntryPoint;
  /** All that came with it, the standard ones included. Of what is sent: the application's own. */
  readonly headers: ServiceHeaders;
  /** All parameters of the chain so far; the last writer of a name wins. */
  readonly context: Params;
  /** The parameters of this message. */
  readonly payload: Params;
}

export interface ServiceRequest extends Fields {
  readonly type: 'request';
  readonly destination: EntryPoint;
  /** Who gets the answer. Undefined: nobody, a cast. */
  readonly replyTo: EntryPoint | undefined;
}

export interface ServiceResponse extends Fields {
  readonly type: 'response';
  readonly destination: EntryPoint;
  readonly replyTo: undefined;
}

export interface ServiceFailure extends Fields {
  readonly type: 'error';
  readonly destination: EntryPoint;
  readonly replyTo: undefined;
}

export interface ServiceNotification extends Fields {
  readonly type: 'notification';
  readonly destination: undefined;
  readonly replyTo: undefined;
}

/** What travels between services: immutable data. */
export type ServiceMessage = ServiceRequest | ServiceResponse | ServiceFailure | ServiceNotification;

/**
 * What a handler of requests answers, where a plain object (a response) does not say it; and what a middleware answers
 * instead of the handler.
 */
export class Answer {
  readonly type: 'response' | 'error';
  readonly payload: Params;

  private constructor(type: 'response' | 'error', payload: Params) {
    this.type = type;
    this.payload = payload;
  }

  static response(payload: Params): Answer {
    return new Answer('response', payload);
  }

  /** The caller's error handler gets `{ class, message, code }` of it. */
  static error(thrown: unknown): Answer {
    const payload: ErrorPayload = errorPayload(thrown);
    return new Answer('error', { ...payload });
  }
}

export function isParams(value: unknown): value is Params {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
