import { ConfigError, type Context, checkTarget, checkVersion } from '@posthorn/core';
import { PRIORITIES, type Priority } from '@posthorn/notify';
import type { CallInfo, ErrorClass } from '@posthorn/rpc';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import {
  type ClassOf,
  type DeclaredErrorClass,
  declaredErrorClass,
  type ErrorDefinition,
  isSchema,
} from './declared-error.ts';
import type { Schema } from './validation.ts';

export interface MethodDefinition {
  /** Of the named arguments: an object. Without it the method takes none. */
  readonly params?: Schema;
  /** Without it the method has no result, and is for casts. */
  readonly result?: Schema;
  /** Of the progress that the method tells on its way: it is an async generator then. */
  readonly stream?: Schema;
  /** What the method throws in the ordinary course of things, by the names that travel. */
  readonly errors?: Readonly<Record<string, ErrorDefinition>>;
  readonly description?: string;
}

export interface EventDefinition {
  /** Default `info`. */
  readonly priority?: Priority;
  readonly payload: Schema;
  readonly description?: string;
}

export interface ContractDefinition {
  /** Among the contracts of an application. Default: the topic, with the namespace if there is one. */
  readonly name?: string;
  readonly description?: string;
  /** Where the methods are served. */
  readonly topic: string;
  /** Default: the transport's. */
  readonly exchange?: string;
  readonly namespace?: string;
  /** `major.minor`. A minor version only adds; `posthorn contract check` says whether it does. */
  readonly version: string;
  readonly methods?: Readonly<Record<string, MethodDefinition>>;
  /** What the service tells of, by the types of the events. */
  readonly events?: Readonly<Record<string, EventDefinition>>;
}

/** An interface of methods and events, checked by the compiler and at run time. Made by `defineContract`. */
export interface Contract<D extends ContractDefinition = ContractDefinition> {
  readonly kind: 'contract';
  readonly name: string;
  readonly definition: D;
  /** The classes of the declared errors: `throw new Compute.errors.QuotaExceeded({ limit: 10 })`. */
  readonly errors: ContractErrors<D>;
}

export type Definitions<D extends ContractDefinition> = NonNullable<D['methods']>;

type Events<D extends ContractDefinition> = NonNullable<D['events']>;

type DeclaredBy<Method> = Method extends { readonly errors: infer Errors } ? Errors : never;

type NamesOf<Union> = Union extends unknown ? keyof Union : never;

type NamedIn<Union, Name extends PropertyKey> = Union extends { readonly [N in Name]: infer Found } ? Found : never;

export type ContractErrors<D extends ContractDefinition> = {
  readonly [Name in NamesOf<DeclaredBy<Definitions<D>[keyof Definitions<D>]>>]: NamedIn<
    DeclaredBy<Definitions<D>[keyof Definitions<D>]>,
    Name
  > extends infer Found extends ErrorDefinition
    ? ClassOf<Found>
    : never;
};

type In<S> = S extends Schema ? StandardSchemaV1.InferInput<S> : never;

type Out<S> = S extends Schema ? StandardSchemaV1.InferOutput<S> : never;

type Sent<Method> = Method extends { readonly params: infer S } ? [args: In<S>] : [];

// biome-ignore lint/suspicious/noConfusingVoidType: of a method without a result
type Received<Method> = Method extends { readonly result: infer S } ? Out<S> : void;

/** The methods as clients see them: an interface for `RPCClient`. */
export type ContractApi<D extends ContractDefinition> = {
  [M in keyof Definitions<D> & string]: (
    ...args: Sent<Definitions<D>[M]>
  ) => Definitions<D>[M] extends { readonly stream: infer S }
    ? AsyncGenerator<Out<S>, Received<Definitions<D>[M]>>
    : Received<Definitions<D>[M]>;
};

/** The methods that have a result: the others are for casts. */
export type CalledMethod<D extends ContractDefinition> = {
  [M in keyof Definitions<D>]: Definitions<D>[M] extends { readonly result: Schema } ? M : never;
}[keyof Definitions<D>];

/** The methods that tell of their progress. */
export type StreamedMethod<D extends ContractDefinition> = {
  [M in keyof Definitions<D>]: Definitions<D>[M] extends { readonly stream: Schema } ? M : never;
}[keyof Definitions<D>];

type Given<Method> = Method extends { readonly params: infer S } ? Out<S> : Readonly<Record<string, never>>;

// biome-ignore lint/suspicious/noConfusingVoidType: of a method without a result
type Returned<Method> = Method extends { readonly result: infer S } ? In<S> : void;

/** What a server implements: `class Compute implements ContractMethods<typeof ComputeContract>`. */
export type ContractMethods<C extends Contract> = {
  [M in keyof Definitions<C['definition']>]: (
    context: Context,
    params: Given<Definitions<C['definition']>[M]>,
    info: CallInfo,
  ) => Definitions<C['definition']>[M] extends { readonly stream: infer S }
    ? AsyncGenerator<In<S>, Returned<Definitions<C['definition']>[M]>, void>
    : Returned<Definitions<C['definition']>[M]> | Promise<Returned<Definitions<C['definition']>[M]>>;
};

export type EventName<D extends ContractDefinition> = keyof Events<D> & string;

/** What is told of an event. */
export type EventInput<D extends ContractDefinition, E extends EventName<D>> = In<Events<D>[E]['payload']>;

/** What a listener gets. */
export type EventPayload<D extends ContractDefinition, E extends EventName<D>> = Out<Events<D>[E]['payload']>;

/**
 * An interface, once: a typed client, a checked server and typed notifications come of it.
 *
 * ```ts
 * const Greeter = defineContract({
 *   topic: 'greeter',
 *   version: '1.0',
 *   methods: { greet: { params: z.object({ name: z.string() }), result: z.string() } },
 * });
 * ```
 *
 * @throws {ConfigError} naming the part that is wrong
 */
export function defineContract<const D extends ContractDefinition>(definition: D): Contract<D> {
  const { topic, exchange, namespace, version, methods = {}, events = {} } = definition;
  const name = definition.name ?? [topic, namespace].filter(Boolean).join('.');
  if (typeof topic !== 'string') throw new ConfigError('topic', 'a contract needs a topic');
  checkTarget({ topic, ...(exchange !== undefined && { exchange }), ...(namespace !== undefined && { namespace }) });
  checkVersion('version', version);
  for (const [method, { params, result, stream }] of Object.entries(methods)) {
    const path = `methods.${method}`;
    if (method.startsWith('_') || RESERVED.has(method)) throw new ConfigError(path, 'no method can have that name');
    for (const [part, schema] of Object.entries({ params, result, stream }))
      if (schema !== undefined) checkSchema(`${path}.${part}`, schema);
    if (stream !== undefined && result === undefined)
      throw new ConfigError(path, 'a method with a stream has a result');
  }
  for (const [event, { payload, priority = 'info' }] of Object.entries(events)) {
    checkSchema(`events.${event}.payload`, payload);
    if (!PRIORITIES.includes(priority)) throw new ConfigError(`events.${event}.priority`, `"${priority}" is none`);
  }
  return { kind: 'contract', name, definition, errors: errorClasses(methods) as ContractErrors<D> };
}

/** What endpoints never have as a method. */
const RESERVED: ReadonlySet<string> = new Set(['constructor', 'target']);

export function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'contract';
}

function checkSchema(path: string, schema: unknown): void {
  const isOne = (typeof schema === 'object' || typeof schema === 'function') && schema !== null;
  if (!isOne || !('~standard' in schema)) throw new ConfigError(path, 'expected a Standard Schema');
}

function errorClasses(
  methods: Readonly<Record<string, MethodDefinition>>,
): Readonly<Record<string, ErrorClass | DeclaredErrorClass>> {
  const declared = new Map<string, ErrorDefinition>();
  const classes: Record<string, ErrorClass | DeclaredErrorClass> = {};
  for (const [method, { errors = {} }] of Object.entries(methods))
    for (const [name, error] of Object.entries(errors)) {
      const path = `methods.${method}.errors.${name}`;
      const known = declared.get(name);
      if (known !== undefined && known !== error)
        throw new ConfigError(path, 'another method declares it otherwise: one name, one error');
      if (known !== undefined) continue;
      if (typeof error !== 'function') checkSchema(path, error);
      declared.set(name, error);
      classes[name] = isSchema(error) ? declaredErrorClass(name) : error;
    }
  return classes;
}
