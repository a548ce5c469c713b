import { idsOf, type JobEnd, type Logger, MessagingError, messageOf, newId } from '@posthorn/core';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ControllerFactory } from './controller.ts';
import type { Discovery } from './discovery.ts';
import { EntryPoint } from './entry-point.ts';
import { NackableError, ServiceError } from './errors.ts';
import { Answer, isParams, type Params, type ServiceMessage, type ServiceRequest } from './messages.ts';
import { entering, leaving } from './middlewares.ts';
import { serviceProxy } from './proxy.ts';
import type { Handler, RegisteredService } from './registry.ts';
import { Sendings } from './sendings.ts';

/** A service in a running server. */
export interface RunningService extends RegisteredService {
  readonly discovery: Discovery;
  send(message: ServiceMessage): Promise<void>;
}

interface Route {
  readonly service: RunningService;
  readonly handler: Handler;
  /** The handler's `this`: a new one for each message, unless it is a singleton. */
  readonly instance: () => object | Promise<object>;
}

type OnFailure = (error: unknown) => void;

export interface DispatcherOptions {
  readonly services: readonly RunningService[];
  readonly factory: ControllerFactory;
  readonly logger: Logger;
}

/** Finds the handlers of a message, runs them between their middlewares, and sends what they answer. Never rejects. */
export class Dispatcher {
  readonly #routes = new Map<string, Route[]>();
  readonly #services: readonly RunningService[];
  readonly #logger: Logger;

  constructor({ services, factory, logger }: DispatcherOptions) {
    this.#services = services;
    this.#logger = logger;
    for (const service of services) {
      const create = (): object | Promise<object> => service.create(factory);
      const instance = service.options.scope === 'singleton' ? once(create) : create;
      for (const handler of service.handlers) {
        const key = keyOf(handler.type, service.service, handler.entryPoint);
        this.#routes.set(key, [...(this.#routes.get(key) ?? []), { service, handler, instance }]);
      }
    }
  }

  /**
   * @param last whether a `NackableError` would be in vain, because there is no further attempt
   * @param onFailure told of what handlers and middlewares throw
   */
  async dispatch(message: ServiceMessage, last: boolean, onFailure: OnFailure = () => {}): Promise<JobEnd> {
    if (message.type === 'request') return await this.#request(message, last, onFailure);
    // An answer belongs to one service; to what is published each class may have subscribed.
    const services = message.type === 'notification' ? this.#services : [{ service: message.destination.service }];
    const keys = new Set(services.map(({ service }) => keyOf(message.type, service, message.source)));
    const routes = [...keys].flatMap((key) => this.#routes.get(key) ?? []);
    if (routes.length === 0) return this.#unhandled(message);
    const ends = await Promise.all(routes.map((route) => this.#deliver(route, message, onFailure)));
    return ends.find((end) => end !== 'accept') ?? 'accept';
  }

  async #request(request: ServiceRequest, last: boolean, onFailure: OnFailure): Promise<JobEnd> {
    const key = keyOf('request', request.destination.service, request.destination);
    const [route] = this.#routes.get(key) ?? [];
    let end: JobEnd = 'accept';
    let answer: Answer | undefined;
    let latest = request;
    try {
      if (route === undefined) throw notFound(request);
      const passed = await entering(route.service, request);
      if (passed instanceof Answer) answer = passed;
      else {
        latest = passed;
        answer = answerOf(await this.#run(route, passed), route.handler);
      }
    } catch (error) {
      this.#failed(route, request, error);
      onFailure(error);
      if (error instanceof NackableError) {
        end = { outcome: 'release', reason: error };
        if (!last) return end;
      }
      answer = Answer.error(error);
    }
    const service = route?.service ?? this.#services.find((one) => one.service === request.destination.service);
    if (answer === undefined || request.replyTo === undefined || service === undefined) return end;
    return (await this.#answer(service, latest, answer)) ?? end;
  }

  async #deliver(route: Route, message: ServiceMessage, onFailure: OnFailure): Promise<JobEnd> {
    try {
      const passed = await entering(route.service, message);
      if (!(passed instanceof Answer)) await this.#run(route, passed);
      return 'accept';
    } catch (error) {
      this.#failed(route, message, error);
      onFailure(error);
      return error instanceof NackableError ? { outcome: 'release', reason: error } : 'accept';
    }
  }

  async #run({ service, handler, instance }: Route, message: ServiceMessage): Promise<unknown> {
    const sendings = new Sendings((error) => this.#failed({ handler }, message, error));
    const proxy = serviceProxy({
      source: message.destination ?? new EntryPoint(service.service),
      correlationId: message.correlationId,
      context: message.context,
      send: async (outgoing) =>
        service.send(service.options.outgoingSees === 'all' ? await leaving(service, outgoing) : outgoing),
      track: (sending) => sendings.track(sending),
    });
    const params = handler.type === 'error' ? message.payload : await validated(handler, message.payload);
    const self = await instance();
    try {
      const result: unknown =
        handler.type === 'error'
          ? await handler.handle.call(self, message, proxy)
          : await handler.handle.call(self, message, proxy, params);
      await sendings.done();
      return result;
    } catch (error) {
      // What it sent before it failed is still under way.
      await sendings.done().catch(() => undefined);
      throw error;
    }
  }

  /** Undefined when it was sent, or never can be. */
  async #answer(service: RunningService, request: ServiceRequest, answer: Answer): Promise<JobEnd | undefined> {
    let next: Answer | undefined = answer;
    while (next !== undefined) {
      const outgoing = answerTo(request, next);
      try {
        // An error that a middleware made does not go through it again.
        await service.send(next === answer ? await leaving(service, outgoing) : outgoing);
        return undefined;
      } catch (error) {
        this.#logger.error(
          { err: error, to: String(request.replyTo), correlationId: request.correlationId },
          `no ${outgoing.type} to ${request.replyTo} from ${request.destination}: ${messageOf(error)}`,
        );
        // Nothing was written: the whole request again, rather than an answer that never comes.
        if (error instanceof MessagingError && error.retryable) return { outcome: 'release', reason: error };
        next = next === answer && cannotBeWritten(error) ? Answer.error(error) : undefined;
      }
    }
    return undefined;
  }

  #unhandled(message: ServiceMessage): JobEnd {
    const error = notFound(message);
    const { correlationId, messageId, headers } = message;
    this.#logger.warn({ err: error, correlationId, ...idsOf(messageId, headers) }, error.message);
    return 'accept';
  }

  #failed(route: Pick<Route, 'handler'> | undefined, message: ServiceMessage, error: unknown): void {
    const { type, correlationId, source, messageId, headers } = message;
    const who = route?.handler.name ?? `${message.destination}`;
    this.#logger.error(
      { err: error, correlationId, ...idsOf(messageId, headers), source: `${source}` },
      `${who} failed on a ${type}: ${messageOf(error)}`,
    );
  }
}

/** Requests are routed by where they go, all else by who sent it, among the handlers of one service. */
function keyOf(type: ServiceMessage['type'], service: string, entryPoint: EntryPoint): string {
  return `${type} ${service} ${entryPoint}`;
}

function notFound({ type, source, destination }: ServiceMessage): ServiceError {
  const entryPoint = type === 'request' ? destination : source;
  const where = destination === undefined || type === 'request' ? '' : ` in ${destination.service}`;
  return new ServiceError('HandlerNotFound', `nobody handles ${type} ${entryPoint}${where}`);
}

/** It is the answer's own fault, and the caller can be told so. */
function cannotBeWritten(error: unknown): boolean {
  return !(error instanceof MessagingError) || error.code === 'MALFORMED' || error.code === 'TOO_LARGE';
}

function answerTo(request: ServiceRequest, { type, payload }: Answer): ServiceMessage {
  const { correlationId, requestId, context, destination, replyTo, source } = request;
  return {
    type,
    messageId: newId(),
    correlationId,
    requestId,
    source: destination,
    destination: replyTo ?? source,
    replyTo: undefined,
    headers: {},
    context,
    payload,
  };
}

function answerOf(result: unknown, { name }: Handler): Answer | undefined {
  if (result === undefined || result === null || result instanceof Answer) return result ?? undefined;
  if (isParams(result)) return Answer.response(result);
  throw new ServiceError(
    'WrongResponse',
    `${name} returned a ${typeof result}: expected a plain object, an Answer or nothing`,
  );
}

async function validated({ params, name }: Handler, payload: Params): Promise<unknown> {
  if (params === undefined) return payload;
  const checked = params['~standard'].validate(payload);
  const result = checked instanceof Promise ? await checked : checked;
  if (result.issues === undefined) return result.value;
  throw new ServiceError('WrongParameters', `${name}: ${result.issues.map(issueText).join('; ')}`);
}

function issueText({ path = [], message }: StandardSchemaV1.Issue): string {
  const where = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return where === '' ? message : `${where}: ${message}`;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
