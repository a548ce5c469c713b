import { setImmediate as turn } from 'node:timers/promises';
import { type Logger, type Message, memory, serial, silent, Transport } from '@posthorn/core';
import {
  type Controller,
  LocalDiscovery,
  type Params,
  type PendingRequest,
  type ServiceProxy,
  ServiceServer,
  type ServiceServerOptions,
  serviceClient,
} from '../src/index.ts';

export interface LogLine {
  readonly level: keyof Logger;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A transport of its own broker. */
export function open(logger: Logger = silent): Promise<Transport> {
  return Transport.open((context) => memory(context, {}), { logger });
}

/** Services that know each other, one job at a time, and everything that they send. */
export class System implements AsyncDisposable {
  readonly discovery = new LocalDiscovery();
  readonly lines: LogLine[] = [];
  /** What went through the exchanges, in order. */
  readonly sent: Message[] = [];
  readonly transport: Transport;

  private constructor(transport: Transport) {
    this.transport = transport;
  }

  /** @param services those that are known as remote ones */
  static async open(...services: readonly string[]): Promise<System> {
    const system: System = new System(await open(logger(() => system.lines)));
    for (const service of services) system.discovery.registerRemoteService(service, 'e');
    const sources = ['e', 'e.answers', 'n'].map((exchange) => ({ kind: 'topic', exchange, pattern: '#' }) as const);
    await system.transport.subscribe(sources, (delivery) => {
      system.sent.push(delivery.message);
      void delivery.settle('accept');
    });
    return system;
  }

  async serve(services: readonly Controller[], options: Partial<ServiceServerOptions> = {}): Promise<ServiceServer> {
    const defaults = { exchange: 'e', discovery: this.discovery, executor: serial() };
    return await new ServiceServer(this.transport, { ...defaults, ...options, services }).start();
  }

  client(source = 'script.main'): ServiceProxy {
    return serviceClient(this.transport, { discovery: this.discovery, source });
  }

  /** A method of a service, sent by a client. */
  to(service: string, method: string, params: Params = {}): PendingRequest {
    return remote(this.client(), service, method, params);
  }

  /** The messages so far, of one type, by their headers. */
  headersOf(type: string): Record<string, unknown>[] {
    return this.sent.map(({ headers }) => ({ ...headers })).filter((headers) => headers['message_type'] === type);
  }

  logged(level: keyof Logger): readonly string[] {
    return this.lines.filter((line) => line.level === level).map(({ message }) => message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport.close({ timeoutMs: 1_000 });
  }
}

/** A method of a service whose name no contract has. */
export function remote(proxy: ServiceProxy, service: string, method: string, params: Params = {}): PendingRequest {
  const pending = proxy[service]?.[method]?.(params);
  if (pending === undefined) throw new Error('a proxy has every service');
  return pending;
}

/** Lets the event loop turn until the probe answers with something truthy. */
export async function until<T>(what: string, probe: () => T | undefined | false | 0): Promise<T> {
  for (let turns = 0; turns < 10_000; turns++) {
    const answer = probe();
    if (answer) return answer;
    await turn();
  }
  throw new Error(`waited in vain for ${what}`);
}

/** The error that the promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { number?: number }> {
  const [result] = await Promise.allSettled([promise]);
  if (result.status === 'rejected' && result.reason instanceof Error) return result.reason;
  throw new Error('it did not reject with an error');
}

/** The error that the function throws. */
export function thrownBy(act: () => unknown): Error & { number?: number } {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('it threw no error');
}

function logger(lines: () => LogLine[]): Logger {
  const at =
    (level: keyof Logger) =>
    (fields: object, message = ''): void =>
      void lines().push({ level, fields: { ...fields }, message });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
