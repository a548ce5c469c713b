import { newId, type Transport } from '@posthorn/core';
import {
  type Controller,
  LocalDiscovery,
  type Params,
  type PendingRequest,
  type ServiceClientOptions,
  type ServiceProxy,
  ServiceServer,
  type ServiceServerOptions,
  serviceClient,
} from '@posthorn/services';
import type { TransportUnderTest } from '../transports.ts';
import { Lab } from './lab.ts';

/** What a test leaves on a broker goes by itself. */
export const RETENTION = { expiresMs: 300_000 } as const;

/** The same for all tests, for exchanges do not go by themselves: it is the names of services that differ. */
export const EXCHANGE = 'services-lab';
const DEAD = 'services-lab.dead';
export const NOTIFICATIONS = 'services-lab.notifications';

type ServerOptions = Partial<Omit<ServiceServerOptions, 'services'>> & { readonly on?: Transport };

/** Services of one test, with names of its own and a connection for each side. */
export class ServicesLab implements AsyncDisposable {
  readonly discovery = new LocalDiscovery();
  readonly lab: Lab;
  readonly #suffix = newId();

  constructor(transport: TransportUnderTest) {
    this.lab = new Lab(transport);
  }

  /** The name of a service in this test. All may send to it, subscribe to it, and it may publish. */
  service(name: string): string {
    const service = `${name}-${this.#suffix}`;
    this.discovery.registerRemoteService(service, EXCHANGE);
    this.discovery.registerRemotePublisher(service, NOTIFICATIONS);
    this.discovery.registerLocalPublisher(service, NOTIFICATIONS);
    return service;
  }

  async serve(services: readonly Controller[], { on, ...options }: ServerOptions = {}): Promise<ServiceServer> {
    return await new ServiceServer(on ?? (await this.lab.serving()), {
      exchange: EXCHANGE,
      discovery: this.discovery,
      retention: RETENTION,
      retry: { deadLetter: DEAD },
      ...options,
      services,
    }).start();
  }

  /** A program that is no service; its source may be the entry point of one. */
  async client(source: string, options: Partial<ServiceClientOptions> = {}): Promise<ServiceProxy> {
    const { discovery } = this;
    return serviceClient(await this.lab.calling(), { discovery, source, retention: RETENTION, ...options });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }
}

/** A method of a service whose name is made for the test, so that no contract has it. */
export function remote(proxy: ServiceProxy, service: string, method: string, params: Params = {}): PendingRequest {
  const pending = proxy[service]?.[method]?.(params);
  if (pending === undefined) throw new Error('a proxy has every service');
  return pending;
}
