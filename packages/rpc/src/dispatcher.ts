import { ConfigError, type Context, checkVersion, compatible, type HeaderValue } from '@posthorn/core';
import { isExpected, isExposed } from './access.ts';
import { NoSuchMethodError, UnsupportedVersionError } from './errors.ts';
import { dropProgress, follow, isSteps } from './steps.ts';

/** What a method is told about its call, as its third argument. */
export interface CallInfo {
  readonly id: string;
  readonly method: string;
  readonly namespace: string | undefined;
  readonly version: string | null | undefined;
  readonly headers: Readonly<Record<string, HeaderValue>>;
  /** Aborted when the caller gave up, when its time is over, or when the server is closed in spite of running work. */
  readonly signal: AbortSignal;
  /** When the caller's time is over, on the clock of `performance.now()`; undefined for casts. */
  readonly deadline: number | undefined;
}

/** `target` says which namespace and version an endpoint implements. Its other functions are its methods. */
export interface EndpointTarget {
  readonly namespace?: string;
  readonly version?: string;
  /** Further namespaces it answers to; null is the default namespace. */
  readonly legacyNamespaces?: readonly (string | null)[];
}

/**
 * A class instance or a plain object; its methods take `(context, args, info)`. A method that tells of its progress is an
 * async generator: it yields progress, and returns the result.
 */
export type Endpoint = object;

/** `public`: every method but `_private` ones. `explicit`: only what `expose` marked. */
export type Access = 'public' | 'explicit';

export interface Dispatched {
  readonly method: string;
  readonly namespace?: string | undefined;
  readonly version?: string | null | undefined;
  readonly args: unknown;
  readonly context: Context;
  readonly info: CallInfo;
}

/** Takes what a streaming method yields. The method goes on when it resolves, and is ended when it rejects. */
export type TakeProgress = (value: unknown, call: Dispatched) => Promise<void>;

type Method = (context: Context, args: unknown, info: CallInfo) => unknown;

interface Route {
  readonly namespaces: ReadonlySet<string | undefined>;
  readonly version: string;
  readonly endpoint: Endpoint;
  readonly methods: ReadonlyMap<string, Method>;
}

const DEFAULT_VERSION = '1.0';

/**
 * Finds the method for a call and runs it; no I/O. The rules are oslo.messaging's: endpoints in order; the first whose
 * namespace is accepted, whose version is compatible and which has the method. What can be called is fixed at
 * construction.
 */
export class Dispatcher {
  readonly #routes: readonly Route[];
  readonly #take: TakeProgress;

  constructor(endpoints: readonly Endpoint[], access: Access = 'public', take: TakeProgress = dropProgress) {
    this.#take = take;
    this.#routes = endpoints.map((endpoint, index) => routeOf(endpoint, index, access));
  }

  /**
   * What the method returns, be it a promise or not.
   *
   * @throws {NoSuchMethodError | UnsupportedVersionError} and whatever the method throws
   */
  invoke(call: Dispatched): unknown {
    const { endpoint, method } = this.#find(call);
    const returned = method.call(endpoint, call.context, call.args, call.info);
    return isSteps(returned) ? follow(returned, call.info.signal, (value) => this.#take(value, call)) : returned;
  }

  /** Whether the method of that call declared the error as expected. */
  expects(call: Dispatched, thrown: unknown): boolean {
    if (thrown instanceof NoSuchMethodError || thrown instanceof UnsupportedVersionError) return false;
    return isExpected(this.#find(call).method, thrown);
  }

  #find({ method: name, namespace, version }: Dispatched): { readonly endpoint: Endpoint; readonly method: Method } {
    const requested = version === undefined ? DEFAULT_VERSION : version;
    let served = false;
    for (const route of this.#routes) {
      if (!route.namespaces.has(namespace)) continue;
      if (requested === null || !compatible(route.version, requested)) continue;
      served = true;
      const method = route.methods.get(name);
      if (method !== undefined) return { endpoint: route.endpoint, method };
    }
    if (served) throw new NoSuchMethodError(`Endpoint does not support RPC method ${name}`);
    throw new UnsupportedVersionError(`Endpoint does not support RPC version ${requested}. Attempted method: ${name}`);
  }
}

function routeOf(endpoint: Endpoint, index: number, access: Access): Route {
  const path = `endpoints.${index}`;
  if (typeof endpoint !== 'object' || endpoint === null) throw new ConfigError(path, 'expected an object');
  const target = targetOf(endpoint, path);
  const legacy = (target.legacyNamespaces ?? []).map((name) => name ?? undefined);
  return {
    namespaces: new Set([target.namespace, ...legacy]),
    version: target.version ?? DEFAULT_VERSION,
    endpoint,
    methods: methodsOf(endpoint, access),
  };
}

function targetOf(endpoint: Endpoint, path: string): EndpointTarget {
  if (!('target' in endpoint) || endpoint.target === undefined) return {};
  const { target } = endpoint;
  if (typeof target !== 'object' || target === null) {
    throw new ConfigError(`${path}.target`, 'is reserved for { namespace, version }, and cannot be a method');
  }
  const { namespace, version } = target as Record<string, unknown>;
  if (namespace !== undefined && typeof namespace !== 'string')
    throw new ConfigError(`${path}.target.namespace`, 'expected a string');
  if (version !== undefined) checkVersion(`${path}.target.version`, String(version));
  return target;
}

/** The endpoint's own methods and its classes', never those of `Object`, nor accessors, which would run. */
function methodsOf(endpoint: Endpoint, access: Access): ReadonlyMap<string, Method> {
  const methods = new Map<string, Method>();
  const seen = new Set(['constructor', '__proto__', 'target']);
  for (
    let layer: object | null = endpoint;
    layer !== null && layer !== Object.prototype;
    layer = Object.getPrototypeOf(layer)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(layer))) {
      if (seen.has(name) || name.startsWith('_')) continue;
      seen.add(name);
      if (typeof value !== 'function' || isClass(value)) continue;
      if (access === 'public' || isExposed(value)) methods.set(name, value);
    }
  }
  return methods;
}

function isClass(value: object): boolean {
  return Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false;
}
