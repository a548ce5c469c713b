import { ServiceError } from './errors.ts';

type MaybePromise<T> = T | Promise<T>;

/**
 * Which exchange a service is reached through, as one service sees the others. Asked for each message that is sent, and
 * at the start for what is subscribed to. An implementation throws `UnableToDiscover` for what it does not know.
 */
export interface Discovery {
  /** Where requests to that service, and answers for it, are sent. */
  remoteService(service: string): MaybePromise<string>;
  /** Where that service publishes what others subscribe to. */
  remotePublisher(service: string): MaybePromise<string>;
  /** Where the local service publishes. */
  localPublisher(service: string): MaybePromise<string>;
}

/** Registered by hand. */
export class LocalDiscovery implements Discovery {
  readonly #remoteServices = new Map<string, string>();
  readonly #remotePublishers = new Map<string, string>();
  readonly #localPublishers = new Map<string, string>();

  /** Lets local services send requests and answers to that one. */
  registerRemoteService(service: string, exchange: string): void {
    this.#remoteServices.set(service, exchange);
  }

  unregisterRemoteService(service: string): void {
    this.#remoteServices.delete(service);
  }

  /** Lets local services subscribe to what that one publishes. */
  registerRemotePublisher(service: string, exchange: string): void {
    this.#remotePublishers.set(service, exchange);
  }

  unregisterRemotePublisher(service: string): void {
    this.#remotePublishers.delete(service);
  }

  /** Lets the local service publish. */
  registerLocalPublisher(service: string, exchange: string): void {
    this.#localPublishers.set(service, exchange);
  }

  unregisterLocalPublisher(service: string): void {
    this.#localPublishers.delete(service);
  }

  remoteService(service: string): string {
    return known(this.#remoteServices, service, 'a remote service');
  }

  remotePublisher(service: string): string {
    return known(this.#remotePublishers, service, 'a remote publisher');
  }

  localPublisher(service: string): string {
    return known(this.#localPublishers, service, 'a local publisher');
  }

  /** All exchanges that are registered, each once. */
  get exchanges(): readonly string[] {
    const maps = [this.#remoteServices, this.#remotePublishers, this.#localPublishers];
    return [...new Set(maps.flatMap((map) => [...map.values()]))];
  }
}

function known(map: ReadonlyMap<string, string>, service: string, role: string): string {
  const exchange = map.get(service);
  if (exchange === undefined)
    throw new ServiceError('UnableToDiscover', `${service} is not registered as ${role}: the discovery knows of none`);
  return exchange;
}
