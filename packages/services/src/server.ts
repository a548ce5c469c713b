import {
  attemptsOf,
  ClosedError,
  type CloseOptions,
  type CloseReport,
  ConfigError,
  concurrent,
  type Delivery,
  type Executor,
  type Job,
  type JobEnd,
  observed,
  originOf,
  processing,
  Redelivery,
  type Retention,
  type RetryPolicy,
  Server,
  type Transport,
  within,
} from '@posthorn/core';
import { activityOf } from './activity.ts';
import { decode } from './codec.ts';
import type { Controller, ControllerFactory } from './controller.ts';
import type { Discovery } from './discovery.ts';
import { Dispatcher, type RunningService } from './dispatcher.ts';
import { ServiceError } from './errors.ts';
import { type Intake, type Lanes, lanesOf } from './layout.ts';
import type { ServiceMessage } from './messages.ts';
import { Masked } from './redact.ts';
import { type Handler, type RegisteredService, ServiceRegistry } from './registry.ts';
import { Sender } from './sender.ts';

export interface ServiceServerOptions {
  /** The exchange through which others reach the services. */
  readonly exchange: string;
  readonly services?: readonly Controller[];
  /** For services that were registered without one of their own. */
  readonly discovery?: Discovery;
  /** Makes the instance that handles a message: dependency injection. Default: `new` without arguments. */
  readonly create?: ControllerFactory;
  /** Default `split`. */
  readonly lanes?: Lanes;
  /** With `shared`: one queue of this name for all services. Default: one for each, named as the service. */
  readonly queue?: string;
  /** Runs the handlers of all services. Default `concurrent(100)`. */
  readonly executor?: Executor;
  /** Messages taken and not yet settled, at most, for each queue. Default 100. */
  readonly prefetch?: number;
  /** For messages whose handlers throw `NackableError`. */
  readonly retry?: RetryPolicy;
  /** Attributes of the queues. */
  readonly retention?: Retention;
}

const CONCURRENCY = 100;
const ATTEMPTS = 5;

/**
 * Hosts services. Each message is settled after its handler, so that none is lost; a handler that throws is answered for
 * with an error, and not tried again unless it throws a `NackableError`.
 */
export class ServiceServer implements AsyncDisposable {
  readonly registry: ServiceRegistry = new ServiceRegistry();
  readonly #transport: Transport;
  readonly #options: ServiceServerOptions;
  readonly #executor: Executor;
  readonly #attempts: number;
  #servers: readonly Server[] = [];
  #starting: Promise<this> | undefined;
  #closing: Promise<CloseReport> | undefined;

  constructor(transport: Transport, options: ServiceServerOptions) {
    if (options.queue !== undefined && options.lanes !== 'shared')
      throw new ConfigError('queue', 'only with lanes: "shared" can several services have one queue');
    this.#transport = transport;
    this.#options = options;
    this.#executor = options.executor ?? concurrent(CONCURRENCY);
    this.#attempts = options.retry?.limit ?? ATTEMPTS;
  }

  /**
   * Freezes the registry, makes what the broker needs, and subscribes. Resolves when messages sent from then on are
   * certain to arrive.
   *
   * @throws {ServiceError} naming the class and method, when a registration makes no sense or the discovery does not know
   * what is subscribed to
   */
  start(): Promise<this> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError('a server of services'));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Stops intake, waits for running handlers and their answers, leaves. */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #start(): Promise<this> {
    for (const controller of this.#options.services ?? []) this.registry.add(controller);
    const services = this.registry.freeze().map((service) => this.#running(service));
    if (services.length === 0) throw new ConfigError('services', 'at least one is needed');
    const intakes = await Promise.all(this.#grouped(services).map((group) => this.#intake(group)));
    this.#servers = intakes;
    try {
      await Promise.all(intakes.map((server) => server.start()));
      await this.#makePublishers(services);
    } catch (error) {
      await this.#leave();
      throw error;
    }
    return this;
  }

  async #close(options: CloseOptions): Promise<CloseReport> {
    const started = this.#starting?.catch(() => undefined);
    if (started !== undefined) await within(started, options.timeoutMs, options.signal);
    return await this.#leave(options);
  }

  async #leave(options?: CloseOptions): Promise<CloseReport> {
    const reports = await Promise.all(this.#servers.map((server) => server.close(options)));
    return { abandoned: reports.flatMap(({ abandoned }) => abandoned) };
  }

  #running(service: RegisteredService): RunningService {
    const { discovery = this.#options.discovery } = service;
    if (discovery === undefined)
      throw new ServiceError('DiscoveryMissing', `${service.name}: the service ${service.service} has no discovery`);
    const { lanes = 'split', retention } = this.#options;
    const sender = new Sender(this.#transport, { discovery, lanes, retention });
    return { ...service, discovery, send: (message) => sender.send(message) };
  }

  /** What shares queues: the classes of one service, or, with one queue, all. */
  #grouped<S extends RegisteredService>(services: readonly S[]): readonly (readonly S[])[] {
    if (this.#options.queue !== undefined) return [services];
    const names = [...new Set(services.map(({ service }) => service))];
    return names.map((name) => services.filter(({ service }) => service === name));
  }

  async #intake(services: readonly RunningService[]): Promise<Server> {
    const { exchange, queue, lanes = 'split', create = (controller) => new controller() } = this.#options;
    const { prefetch = CONCURRENCY, retry, retention } = this.#options;
    const dispatcher = new Dispatcher({ services, factory: create, logger: this.#transport.logger });
    const subscriptions = await Promise.all(
      services.flatMap(({ handlers, discovery }) =>
        handlers.filter(({ type }) => type === 'notification').map((handler) => subscription(handler, discovery)),
      ),
    );
    const names = [...new Set(services.map(({ service }) => service))];
    const redelivery = (name: string): Redelivery =>
      new Redelivery(this.#transport, { kind: 'group', name }, { ...retry, limit: this.#attempts });
    return new Server(this.#transport, {
      name: `services ${names.join(', ')}`,
      lanes: lanesOf({ exchange, services: names, subscriptions, queue }, lanes, redelivery, retention),
      executor: this.#executor,
      settle: 'after',
      prefetch,
      open: (delivery) => this.#open(delivery, dispatcher),
    });
  }

  #open(delivery: Delivery, dispatcher: Dispatcher): Job {
    const message = decode(delivery.message);
    const isLast = attemptsOf(delivery) + 1 >= this.#attempts;
    this.#transport.logger.debug({ received: new Masked(message) }, 'received a message');
    return {
      id: message.messageId,
      name: `${message.type} ${message.source} → ${message.destination ?? 'its subscribers'}`,
      run: () => this.#dispatch(message, isLast, delivery, dispatcher),
    };
  }

  #dispatch(message: ServiceMessage, isLast: boolean, delivery: Delivery, dispatcher: Dispatcher): Promise<JobEnd> {
    if (!processing.hasSubscribers) return dispatcher.dispatch(message, isLast);
    const activity = activityOf(message, 'received', originOf(delivery), this.#transport);
    return observed(processing, activity, () =>
      dispatcher.dispatch(message, isLast, (error) => {
        activity.failure ??= error;
      }),
    );
  }

  /** A passing subscription makes the exchange of each local publisher: others can bind to it before anything is published. */
  async #makePublishers(services: readonly RunningService[]): Promise<void> {
    const exchanges = new Set<string>();
    for (const { service, discovery } of services) {
      try {
        exchanges.add(await discovery.localPublisher(service));
      } catch (error) {
        if (!(error instanceof ServiceError && error.name === 'UnableToDiscover')) throw error;
      }
    }
    for (const exchange of exchanges) {
      const passing = await this.#transport.subscribe(
        [{ kind: 'topic', exchange, pattern: 'posthorn.none' }],
        (delivery) => void delivery.settle('accept'),
      );
      await passing.close();
    }
  }
}

async function subscription(
  { entryPoint, name }: Handler,
  discovery: Discovery,
): Promise<Intake['subscriptions'][number]> {
  try {
    return { entryPoint, exchange: await discovery.remotePublisher(entryPoint.service) };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    throw new ServiceError(error.name, `${name}: ${error.message}`, { cause: error });
  }
}
