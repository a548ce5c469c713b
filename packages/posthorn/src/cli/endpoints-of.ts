import type { Endpoint } from '@posthorn/rpc';

/**
 * The endpoints that a module exports: `default` or `endpoints`, being an endpoint, a class of one, or a list of these;
 * or else the module's own functions, as one endpoint.
 */
export function endpointsOf(module: Readonly<Record<string, unknown>>, name: string): readonly Endpoint[] {
  const exported = module['default'] ?? module['endpoints'];
  if (exported !== undefined)
    return (Array.isArray(exported) ? exported : [exported]).map((one) => endpointOf(one, name));
  const { target, ...members } = module;
  const functions = Object.entries(members).filter(([, member]) => typeof member === 'function');
  if (functions.length === 0) throw new Error(`${name} exports no endpoints`);
  return [Object.fromEntries(target === undefined ? functions : [...functions, ['target', target]])];
}

function endpointOf(exported: unknown, name: string): Endpoint {
  if (typeof exported === 'object' && exported !== null) return exported;
  if (isClass(exported)) return new exported();
  throw new Error(`${name}: an endpoint is an object or a class, not a ${typeof exported}`);
}

function isClass(value: unknown): value is new () => Endpoint {
  return typeof value === 'function' && Object.getOwnPropertyDescriptor(value, 'prototype')?.writable === false;
}
