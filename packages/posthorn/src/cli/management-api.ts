import { ConnectionError, messageOf } from '@posthorn/core';
import { z } from 'zod';
import { UsageError } from './usage.ts';

const args = z.record(z.string(), z.unknown());
const queueInfo = z.object({ durable: z.boolean(), exclusive: z.boolean(), auto_delete: z.boolean(), arguments: args });
const exchangeInfo = z.object({ type: z.string(), durable: z.boolean(), auto_delete: z.boolean() });
const bindingInfo = z.object({ routing_key: z.string() });
const overviewInfo = z.object({ rabbitmq_version: z.string() });
const alarmsInfo = z.object({
  alarms: z.array(z.object({ node: z.string(), resource: z.string() })).optional(),
});

export interface QueueInfo {
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly auto_delete: boolean;
  readonly arguments: Readonly<Record<string, unknown>>;
}

export interface ExchangeInfo {
  readonly type: string;
  readonly durable: boolean;
  readonly auto_delete: boolean;
}

const TIMEOUT_MS = 10_000;
const UNHEALTHY = 503;

/** The part of RabbitMQ's management API that tells what a broker has. */
export class ManagementApi {
  readonly #url: string;
  readonly #authorization: string;
  readonly #vhost: string;

  /** @param url `http://user:password@host:15672`, with or without `/api` */
  constructor(url: string, vhost: string) {
    if (!/^https?:/.test(url) || !URL.canParse(url))
      throw new UsageError('--api: expected http://user:password@host:15672');
    const parsed = new URL(url);
    const user = `${decodeURIComponent(parsed.username || 'guest')}:${decodeURIComponent(parsed.password || 'guest')}`;
    this.#authorization = `Basic ${Buffer.from(user).toString('base64')}`;
    this.#url = `${parsed.origin}${parsed.pathname.replace(/\/(api\/?)?$/, '')}/api`;
    this.#vhost = vhost;
  }

  async version(): Promise<string> {
    return (await this.#get(overviewInfo, 'overview'))?.rabbitmq_version ?? '';
  }

  queue(name: string): Promise<QueueInfo | undefined> {
    return this.#get(queueInfo, 'queues', this.#vhost, name);
  }

  exchange(name: string): Promise<ExchangeInfo | undefined> {
    return this.#get(exchangeInfo, 'exchanges', this.#vhost, name);
  }

  async isBound(exchange: string, queue: string, key: string): Promise<boolean> {
    const found = await this.#get(z.array(bindingInfo), 'bindings', this.#vhost, 'e', exchange, 'q', queue);
    return found?.some((binding) => binding.routing_key === key) === true;
  }

  /** The nodes that have run out of memory or disk, and why: at this moment, which the list of nodes tells seconds later. */
  async alarms(): Promise<readonly string[]> {
    const { alarms = [] } = (await this.#get(alarmsInfo, 'health', 'checks', 'alarms')) ?? {};
    return alarms.map(({ node, resource }) => `${node}: out of ${resource}`);
  }

  /** Undefined where there is no such thing. */
  async #get<T>(schema: z.ZodType<T>, ...path: readonly string[]): Promise<T | undefined> {
    const url = `${this.#url}/${path.map(encodeURIComponent).join('/')}`;
    try {
      const response = await fetch(url, {
        headers: { authorization: this.#authorization },
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const body: unknown = await response.json().catch(() => undefined);
      if (response.status === 404) return undefined;
      // A check that fails says why.
      if (!response.ok && response.status !== UNHEALTHY) throw new Error(`status ${response.status}`);
      return schema.parse(body);
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : '';
      throw new ConnectionError(`the management API at ${url}: ${messageOf(error)}${cause}`, { cause: error });
    }
  }
}
