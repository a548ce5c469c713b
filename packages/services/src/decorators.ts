import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { HandlerOptions, HandlerResult, ServiceClass, ServiceOptions } from './controller.ts';
import { ServiceError } from './errors.ts';
import type {
  ServiceFailure,
  ServiceMessage,
  ServiceNotification,
  ServiceRequest,
  ServiceResponse,
} from './messages.ts';

/** What a decorator says of a method. What is wrong with it shows when a registry reads it, and not when the class is made. */
export interface HandlerMark {
  readonly type: ServiceMessage['type'];
  readonly entryPoint: string;
  readonly params: StandardSchemaV1 | undefined;
}

export interface ServiceMark extends ServiceOptions {
  readonly service: string;
}

const HANDLER = Symbol('posthorn.handler');
const SERVICE = Symbol('posthorn.service');

type Method = (...args: never[]) => unknown;
type Decorator<M extends Method> = (method: M, context: ClassMethodDecoratorContext) => void;
/** Without a schema the parameters are what the method says. */
type Unchecked = StandardSchemaV1<never, never>;
type Handler<Message, S extends StandardSchemaV1, Result> = (
  message: Message,
  proxy: never,
  params: StandardSchemaV1.InferOutput<S>,
) => Result;

/** The class handles what is sent to that service. */
export function rpcService(
  service: string,
  options: ServiceOptions = {},
): (controller: ServiceClass, context: ClassDecoratorContext) => void {
  return (controller) => {
    Object.defineProperty(controller, SERVICE, { value: { ...options, service } satisfies ServiceMark });
  };
}

/** The method handles requests to an entry point of its own service, `test_hello.hello`. */
export function rpcMethod<S extends StandardSchemaV1 = Unchecked>(
  entryPoint: string,
  options?: HandlerOptions<S>,
): Decorator<Handler<ServiceRequest, S, HandlerResult>> {
  return mark('request', entryPoint, options);
}

/** The method handles responses from a remote entry point. */
export function rpcResponseMethod<S extends StandardSchemaV1 = Unchecked>(
  entryPoint: string,
  options?: HandlerOptions<S>,
): Decorator<Handler<ServiceResponse, S, unknown>> {
  return mark('response', entryPoint, options);
}

/** The method handles errors from a remote entry point; it gets the error and a proxy, and no parameters. */
export function rpcErrorMethod(entryPoint: string): Decorator<(error: ServiceFailure, proxy: never) => unknown> {
  return mark('error', entryPoint);
}

/** The method gets what a remote entry point publishes. */
export function subscriptionMethod<S extends StandardSchemaV1 = Unchecked>(
  entryPoint: string,
  options?: HandlerOptions<S>,
): Decorator<Handler<ServiceNotification, S, unknown>> {
  return mark('notification', entryPoint, options);
}

/** @internal */
export function serviceMark(controller: ServiceClass): ServiceMark | undefined {
  return Object.hasOwn(controller, SERVICE) ? (Reflect.get(controller, SERVICE) as ServiceMark) : undefined;
}

/** @internal */
export function handlerMarks(method: unknown): readonly HandlerMark[] {
  return typeof method === 'function' && Object.hasOwn(method, HANDLER)
    ? (Reflect.get(method, HANDLER) as readonly HandlerMark[])
    : [];
}

function mark<M extends Method>(type: HandlerMark['type'], entryPoint: string, options?: HandlerOptions): Decorator<M> {
  return (method, context) => {
    // Compilers that still have the old decorators call them with a prototype and a name.
    if (typeof method !== 'function' || context?.kind !== 'method')
      throw new ServiceError(
        'NeedToBeController',
        `${entryPoint}: this decorator is a standard one, for methods: turn experimentalDecorators off`,
      );
    if (context.private || context.static)
      throw new ServiceError(
        'NeedToBeController',
        `${entryPoint}: ${String(context.name)} is ${context.private ? 'private' : 'static'}, so that no message can reach it`,
      );
    const marks: readonly HandlerMark[] = [...handlerMarks(method), { type, entryPoint, params: options?.params }];
    Object.defineProperty(method, HANDLER, { value: marks, configurable: true });
  };
}
