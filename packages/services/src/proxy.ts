import { newId } from '@posthorn/core';
import { checkHeaders } from './codec.ts';
import { EntryPoint } from './entry-point.ts';
import type { Params, ServiceHeaders, ServiceMessage, ServiceNotification, ServiceRequest } from './messages.ts';

export interface ServicePublishOptions {
  /** Default: that of the message being handled; for a client a new one. */
  readonly correlationId?: string;
  /** Added to the context that the message carries on. */
  readonly context?: Params;
  /** Default: the entry point of the handler. */
  readonly source?: string;
  /** Further headers. */
  readonly headers?: ServiceHeaders;
}

export interface ServiceRequestOptions extends ServicePublishOptions {
  /** Where the answer goes. Default: the service of the source. Empty: nowhere, as with a cast. */
  readonly replyTo?: EntryPoint | string;
}

/** Parameters for a method, not yet sent. Every promise resolves when the broker has the message, before any answer. */
export interface PendingRequest {
  /** The answer comes to the response or error handlers of the service that `replyTo` names. */
  call(options?: ServiceRequestOptions): Promise<void>;
  /** There is no answer. */
  cast(options?: Omit<ServiceRequestOptions, 'replyTo'>): Promise<void>;
  /** A call that goes on with another request: its correlation, and both contexts. */
  transfer(request: ServiceRequest, options?: Omit<ServiceRequestOptions, 'correlationId'>): Promise<void>;
}

/** The methods of a remote service by its contract, a plain interface. */
export type RemoteService<Contract> = {
  readonly [M in keyof Contract]: Contract[M] extends (...params: infer P) => unknown
    ? (...params: P) => PendingRequest
    : never;
};

/** `{ test_world: World }`, by the contracts of the services: `proxy.test_world.world({ param: 1 }).call()`. */
export type ServiceProxy<Remotes = UntypedRemotes> = {
  readonly [S in keyof Remotes]: RemoteService<Remotes[S]>;
} & {
  /** Tells what subscribed to the source. Resolves when the broker has it. */
  publish(params?: Params, options?: ServicePublishOptions): Promise<void>;
};

export interface UntypedRemotes {
  readonly [service: string]: { readonly [method: string]: (params?: Params) => unknown };
}

/** What a proxy's messages have in common. */
export interface ProxyOrigin {
  readonly source: EntryPoint;
  readonly correlationId?: string | undefined;
  readonly context?: Params;
  readonly headers?: ServiceHeaders;
  /** Takes the message to the broker. */
  send(message: ServiceMessage): Promise<void>;
  /** Keeps an eye on what is being sent. */
  readonly track?: (sending: Promise<void>) => Promise<void>;
}

/** Any service, and of it any method: the discovery knows, when something is sent, which there are. */
export function serviceProxy<Remotes>(origin: ProxyOrigin): ServiceProxy<Remotes> {
  const publish = (params: Params = {}, options: ServicePublishOptions = {}): Promise<void> =>
    dispatch(origin, () => notificationOf(origin, params, options));
  return named((service) =>
    service === 'publish'
      ? publish
      : named(
          (method) =>
            (params: Params = {}) =>
              pendingRequest(origin, service, method, params),
        ),
  ) as ServiceProxy<Remotes>;
}

/** An object that has what is asked for, but is no promise. */
function named(get: (name: string) => unknown): object {
  return new Proxy(Object.create(null), {
    get: (_, name) => (typeof name === 'symbol' || name === 'then' ? undefined : get(name)),
  });
}

function pendingRequest(origin: ProxyOrigin, service: string, method: string, params: Params): PendingRequest {
  const send = (options: ServiceRequestOptions): Promise<void> =>
    dispatch(origin, () => requestOf(origin, new EntryPoint(service, method), params, options));
  return {
    call: (options = {}) => send(options),
    cast: (options = {}) => send({ ...options, replyTo: '' }),
    transfer: ({ correlationId, context }, options = {}) =>
      send({ ...options, correlationId, context: { ...context, ...options.context } }),
  };
}

function requestOf(
  origin: ProxyOrigin,
  destination: EntryPoint,
  payload: Params,
  { replyTo, ...options }: ServiceRequestOptions,
): ServiceRequest {
  const fields = fieldsOf(origin, options);
  // The original routes answers by the service, and so do we: any of its handlers may take them.
  const reply = replyTo ?? new EntryPoint(fields.source.service);
  return {
    type: 'request',
    ...fields,
    destination,
    replyTo: typeof reply === 'string' ? EntryPoint.parse(reply) : reply,
    payload,
  };
}

function notificationOf(origin: ProxyOrigin, payload: Params, options: ServicePublishOptions): ServiceNotification {
  return { type: 'notification', ...fieldsOf(origin, options), destination: undefined, replyTo: undefined, payload };
}

function fieldsOf(
  origin: ProxyOrigin,
  options: ServicePublishOptions,
): Omit<ServiceMessage, 'type' | 'destination' | 'replyTo' | 'payload'> {
  return {
    messageId: newId(),
    requestId: newId(),
    correlationId: options.correlationId ?? origin.correlationId ?? newId(),
    source: options.source === undefined ? origin.source : EntryPoint.required(options.source, 'source'),
    headers: checkHeaders({ ...origin.headers, ...options.headers }),
    context: { ...origin.context, ...options.context },
  };
}

/** What is wrong with a message rejects, as what goes wrong with it does. */
function dispatch(origin: ProxyOrigin, make: () => ServiceMessage): Promise<void> {
  const send = async (): Promise<void> => origin.send(make());
  return origin.track?.(send()) ?? send();
}
