import type { StandardSchemaV1 } from '@standard-schema/spec';
import type {
  Answer,
  Params,
  ServiceFailure,
  ServiceMessage,
  ServiceNotification,
  ServiceRequest,
  ServiceResponse,
} from './messages.ts';
import type { ServiceProxy, UntypedRemotes } from './proxy.ts';

type MaybePromise<T> = T | Promise<T>;

/** A plain object is a response, an `Answer` what it says, nothing is no answer. */
// biome-ignore lint/suspicious/noConfusingVoidType: many handlers return nothing
export type HandlerResult = MaybePromise<object | null | undefined | void>;

/** Changes a message on its way in (by returning a copy), answers instead of the handler, or throws. */
export type IncomingMiddleware = (message: ServiceMessage) => MaybePromise<ServiceMessage | Answer>;

/** Changes a message on its way out, by returning a copy of the same type. */
export type OutgoingMiddleware = (message: ServiceMessage) => MaybePromise<ServiceMessage>;

export interface ServiceOptions {
  /** An instance for each message (the default), or one for all of them. */
  readonly scope?: 'message' | 'singleton';
  /** In their order, before the handler. */
  readonly incoming?: readonly IncomingMiddleware[];
  /** In their order, after the handler. */
  readonly outgoing?: readonly OutgoingMiddleware[];
  /** What the outgoing ones see: only `answers` (the default), or `all`, requests and publications of the proxy too. */
  readonly outgoingSees?: 'answers' | 'all';
}

export interface HandlerOptions<S extends StandardSchemaV1 = StandardSchemaV1> {
  /** Checks and filters the parameters: any Standard Schema. */
  readonly params?: S;
}

/** A class whose decorators make it a service. */
export type ServiceClass = abstract new (...args: never[]) => object;

/** Makes the instance that handles one message. */
export type ControllerFactory = (controller: new () => object) => MaybePromise<object>;

// A method and not a function: its parameters are the author's to type.
type PlainHandler<Message, Remotes> = {
  handle(this: object, message: Message, proxy: ServiceProxy<Remotes>, params: Params): unknown;
}['handle'];

interface CheckedHandler<Message, Remotes> extends HandlerOptions {
  readonly handle: PlainHandler<Message, Remotes>;
}

type Handlers<Message, Remotes> = Readonly<
  Record<string, PlainHandler<Message, Remotes> | CheckedHandler<Message, Remotes>>
>;

/** A service without decorators. `create` makes the `this` of its handlers, for each message anew. */
export interface ServiceObject<Remotes = UntypedRemotes> extends ServiceOptions {
  readonly service: string;
  readonly create?: () => MaybePromise<object>;
  /** By method of this service. */
  readonly requests?: Handlers<ServiceRequest, Remotes>;
  /** By the entry point that answers. */
  readonly responses?: Handlers<ServiceResponse, Remotes>;
  readonly errors?: Handlers<ServiceFailure, Remotes>;
  /** By the entry point that publishes. */
  readonly subscriptions?: Handlers<ServiceNotification, Remotes>;
}

export type Controller = ServiceClass | ServiceObject<never>;
