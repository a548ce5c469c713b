import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Controller, ControllerFactory, ServiceObject, ServiceOptions } from './controller.ts';
import { handlerMarks, serviceMark } from './decorators.ts';
import type { Discovery } from './discovery.ts';
import { EntryPoint } from './entry-point.ts';
import { ServiceError, type ServiceErrorName } from './errors.ts';
import type { ServiceMessage } from './messages.ts';

type HandleFunction = (this: object, message: ServiceMessage, proxy: unknown, params?: unknown) => unknown;

/** A handler as it was at the start: what becomes of the class or object later changes nothing. */
export interface Handler {
  readonly type: ServiceMessage['type'];
  readonly entryPoint: EntryPoint;
  /** Its class and method, for logs and errors: `HelloController.handler`. */
  readonly name: string;
  readonly params: StandardSchemaV1 | undefined;
  readonly handle: HandleFunction;
}

/** One class or object, read. */
export interface RegisteredService {
  readonly service: string;
  readonly name: string;
  readonly options: ServiceOptions;
  readonly discovery: Discovery | undefined;
  readonly handlers: readonly Handler[];
  create(factory: ControllerFactory): object | Promise<object>;
}

/** What a server has handlers for. Filled before its start, and frozen by it. */
export class ServiceRegistry {
  readonly #services: RegisteredService[] = [];
  #frozen = false;

  /**
   * @throws {ServiceError} naming the class and method: `NeedToBeController` not a service; `UnknownService` a handler of
   * requests to another service; `Duplicated…` an entry point or method that is taken; `RegistryFrozen` after the start
   */
  add(controller: Controller, discovery?: Discovery): void {
    if (this.#frozen)
      throw new ServiceError('RegistryFrozen', `${nameOf(controller)} comes too late: the server has started`);
    const service = read(controller, discovery);
    for (const handler of service.handlers) this.#check(handler, service);
    this.#services.push(service);
  }

  /** Every handler as `request test_hello.hello`, in the order of registration. */
  get entries(): readonly string[] {
    return this.#services.flatMap(({ handlers }) => handlers.map(({ type, entryPoint }) => `${type} ${entryPoint}`));
  }

  freeze(): readonly RegisteredService[] {
    this.#frozen = true;
    return this.#services;
  }

  /** Two classes may serve one service, each with its own entry points; any number may subscribe to one. */
  #check({ type, entryPoint, name }: Handler, { service }: RegisteredService): void {
    if (type === 'notification') return;
    const isTaken = (other: Handler): boolean => other.type === type && other.entryPoint.equals(entryPoint);
    const other = this.#services
      .filter((one) => one.service === service)
      .flatMap(({ handlers }) => handlers)
      .find(isTaken);
    if (other !== undefined)
      throw new ServiceError(
        'DuplicatedServiceRegistration',
        `${name}: ${other.name} handles ${type} ${entryPoint} already`,
      );
  }
}

function read(controller: Controller, discovery: Discovery | undefined): RegisteredService {
  const isClass = typeof controller === 'function';
  const found = isClass ? readClass(controller) : readObject(controller);
  const { service, name, handlers } = found;
  const own = new EntryPoint(service);
  if (own.method !== undefined) fail('WrongEntryPointFormat', name, `"${service}" is no name of a service`);
  for (const [index, { type, entryPoint, name: method }] of handlers.entries()) {
    if (entryPoint.method === undefined) fail('WrongEntryPointFormat', method, `${entryPoint} names no method`);
    if (type === 'request' && entryPoint.service !== service)
      fail('UnknownService', method, `it handles requests to ${entryPoint}, but its service is ${service}`);
    const before = handlers.slice(0, index).find((one) => one.type === type && one.entryPoint.equals(entryPoint));
    if (before !== undefined)
      fail('DuplicatedEntryPointRegistration', method, `${before.name} handles ${type} ${entryPoint} already`);
  }
  return { ...found, discovery };
}

type Found = Omit<RegisteredService, 'discovery'>;

function readClass(controller: Extract<Controller, abstract new (...args: never[]) => object>): Found {
  const { name } = controller;
  const handlers = methodsOf(controller).flatMap(([method, handle]) => {
    const marks = handlerMarks(handle);
    const [mark, second] = marks;
    if (second !== undefined)
      fail('DuplicatedMethodRegistration', `${name}.${method}`, 'a method has one entry point, and this has several');
    return mark === undefined ? [] : [handlerOf(mark.type, mark.entryPoint, `${name}.${method}`, handle, mark.params)];
  });
  const mark = serviceMark(controller);
  if (mark === undefined)
    return fail('NeedToBeController', handlers[0]?.name ?? name, 'its class has no decorator rpcService');
  const { service, ...options } = mark;
  return { service, name, options, handlers, create: (factory) => factory(controller as unknown as new () => object) };
}

/** The methods of the class and of those it extends, the nearest of a name. */
function methodsOf(
  controller: abstract new (...args: never[]) => object,
): readonly (readonly [string, HandleFunction])[] {
  const methods = new Map<string, HandleFunction>();
  let prototype: object | null = controller.prototype;
  while (prototype !== null && prototype !== Object.prototype) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype)))
      if (typeof value === 'function' && !methods.has(name)) methods.set(name, value);
    prototype = Object.getPrototypeOf(prototype);
  }
  return [...methods];
}

function readObject(object: ServiceObject<never>): Found {
  if (typeof object !== 'object' || object === null || typeof object.service !== 'string')
    return fail(
      'NeedToBeController',
      nameOf(object),
      'expected a class with the decorator rpcService, or { service, … }',
    );
  const { service, create, requests = {}, responses = {}, errors = {}, subscriptions = {}, ...options } = object;
  const of = (type: Handler['type'], entries: object, prefix = ''): Handler[] =>
    Object.entries(entries).map(([key, entry]: [string, unknown]) => {
      const name = `${service}: ${type} ${key}`;
      const { handle, params } = typeof entry === 'function' ? { handle: entry, params: undefined } : checked(entry);
      if (typeof handle !== 'function') return fail('NeedToBeController', name, 'expected a function');
      return handlerOf(type, `${prefix}${key}`, name, handle as HandleFunction, params);
    });
  const handlers = [
    ...of('request', requests, `${service}.`),
    ...of('response', responses),
    ...of('error', errors),
    ...of('notification', subscriptions),
  ];
  return { service, name: service, options, handlers, create: () => create?.() ?? {} };
}

function checked(entry: unknown): { handle?: unknown; params?: StandardSchemaV1 | undefined } {
  return typeof entry === 'object' && entry !== null ? entry : {};
}

function handlerOf(
  type: Handler['type'],
  entryPoint: string,
  name: string,
  handle: HandleFunction,
  params: StandardSchemaV1 | undefined,
): Handler {
  try {
    return { type, entryPoint: EntryPoint.required(entryPoint, 'its entry point'), name, handle, params };
  } catch (error) {
    if (error instanceof ServiceError) return fail(error.name, name, error.message);
    throw error;
  }
}

function nameOf(controller: Controller): string {
  if (typeof controller === 'function') return controller.name;
  return typeof controller?.service === 'string' ? controller.service : String(controller);
}

function fail(error: ServiceErrorName, who: string, why: string): never {
  throw new ServiceError(error, `${who}: ${why}`);
}
