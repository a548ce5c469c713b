import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { type Context, type Logger, newId, silent } from '@posthorn/core';
import type { Notifier } from './notifier.ts';
import { masked } from './redact.ts';

export interface HttpNotificationOptions {
  /** Methods that are not told about: `['GET', 'HEAD']`. */
  readonly ignoreMethods?: readonly string[];
  readonly context?: (request: IncomingMessage) => Context;
  readonly logger?: Logger;
}

/** Headers that carry credentials, in addition to those whose names say so. */
const CREDENTIALS = /^(?:cookie|set-cookie|authorization|proxy-authorization|x-auth-.*|x-subject-.*)$/i;
/** Headers that hold URLs. */
const URLS = /^(?:referer|location|content-location)$/i;

/**
 * A middleware for node:http (and what is built like it) that tells of each request and its response: `http.request` and
 * `http.response`, with one id. Headers that carry credentials are left out; of the response, Node tells only those that
 * were set before `writeHead`. It never delays or breaks a request.
 */
export function httpNotifications(
  notifier: Notifier,
  { ignoreMethods = [], context = () => ({}), logger = silent }: HttpNotificationOptions = {},
): (request: IncomingMessage, response: ServerResponse, next?: () => void) => void {
  const ignored = new Set(ignoreMethods.map((method) => method.toUpperCase()));
  const tell = async (request: IncomingMessage, event: string, payload: () => unknown): Promise<void> => {
    try {
      await notifier.info(context(request), event, masked(payload()));
    } catch (error) {
      logger.warn({ err: error, event }, 'could not notify');
    }
  };
  return (request, response, next) => {
    if (!ignored.has(request.method ?? '')) {
      const began = performance.now();
      const id = newId();
      const what = { id, method: request.method, path: pathOf(request) };
      void tell(request, 'http.request', () => ({ ...what, headers: safe(request.headers) }));
      response.once('close', () => {
        void tell(request, 'http.response', () => ({
          ...what,
          status: response.statusCode,
          complete: response.writableFinished,
          ms: Math.round(performance.now() - began),
          headers: safe(response.getHeaders()),
        }));
      });
    }
    next?.();
  };
}

function pathOf({ url = '' }: IncomingMessage): string {
  return withoutQuery(url);
}

/** The query may hold anything. */
function withoutQuery(url: string): string {
  return url.split(/[?#]/, 1)[0] ?? '';
}

function safe(headers: IncomingHttpHeaders | OutgoingHttpHeaders): unknown {
  const told = Object.entries(headers).filter(([name]) => !CREDENTIALS.test(name));
  return Object.fromEntries(told.map(([name, value]) => [name, URLS.test(name) ? withoutQuery(String(value)) : value]));
}
