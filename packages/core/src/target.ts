import type { Address } from './address.ts';
import { TargetError } from './errors.ts';
import { checkVersion } from './version.ts';

/**
 * What an application wants to reach, never how. A client needs a topic; a server needs a topic and its own server
 * name; an endpoint states its namespace and version.
 */
export interface Target {
  /** The scope of topics. By default the transport's. */
  readonly exchange?: string;
  readonly topic?: string;
  /** One server of the topic, by name. */
  readonly server?: string;
  /** All servers of the topic. */
  readonly fanout?: boolean;
  /** A set of methods on a server; absent means the default one. */
  readonly namespace?: string;
  /** `major.minor`. A request without one counts as 1.0. */
  readonly version?: string;
}

/** Refuses names that could be read as a pattern, and versions that are none. */
export function checkTarget(target: Target): void {
  for (const part of ['exchange', 'topic', 'server'] as const) {
    const value = target[part];
    if (value === undefined) continue;
    if (typeof value !== 'string' || value === '') throw new TargetError(`target.${part} must be a non-empty string`);
    if (/[*#]/.test(value)) throw new TargetError(`target.${part} "${value}" must not contain the wildcards * and #`);
  }
  if (target.namespace !== undefined && typeof target.namespace !== 'string') {
    throw new TargetError('target.namespace must be a string');
  }
  if (target.version !== undefined) checkVersion('target.version', target.version);
}

/** Where a message for the target goes. `fanout` beats `server`, as in oslo.messaging. */
export function addressOf(target: Target, defaultExchange: string): Address {
  const { topic, server } = target;
  if (topic === undefined) throw new TargetError('a target to send to needs a topic');
  const exchange = target.exchange ?? defaultExchange;
  if (target.fanout) return { kind: 'multicast', exchange, topic };
  if (server !== undefined) return { kind: 'unicast', exchange, topic, server };
  return { kind: 'anycast', exchange, topic };
}
