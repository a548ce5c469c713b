import type { Declaration } from '@posthorn/core';
import type { QueueInfo } from './management-api.ts';

/** What RabbitMQ 4 gives a quorum queue that asks for nothing. */
const DELIVERY_LIMIT_OF_4 = 20;
/** Below this, a few crashes or pauses of consumers are enough. */
const LOW_DELIVERY_LIMIT = 100;

/**
 * What works now and bites later: of a declaration, or of the queue that was found in its place, on a RabbitMQ of this
 * version, where it is known.
 */
export function hazardsOf(declaration: Declaration, version?: string, found?: QueueInfo): readonly string[] {
  if (declaration.kind !== 'queue' || declaration.exclusive) return [];
  const { durable, arguments: args } = found ?? declaration;
  return [transience(durable, version), deliveryLimit(args), expiry(args)].filter((hazard) => hazard !== undefined);
}

function transience(durable: boolean, version: string | undefined): string | undefined {
  if (durable) return undefined;
  if (isAtLeast(version, 4, 3))
    return `neither durable nor exclusive: RabbitMQ ${version} refuses such queues, unless transient_nonexcl_queues is permitted`;
  return 'goes when the broker restarts, and RabbitMQ refuses such queues from 4.3 on';
}

function deliveryLimit(args: QueueInfo['arguments']): string | undefined {
  if (args['x-queue-type'] !== 'quorum') return undefined;
  const limit = args['x-delivery-limit'];
  if (limit === undefined)
    return `no x-delivery-limit: RabbitMQ 4 drops what was given back ${DELIVERY_LIMIT_OF_4} times`;
  if (typeof limit !== 'number' || limit < 0 || limit >= LOW_DELIVERY_LIMIT) return undefined;
  return `x-delivery-limit: what was given back ${limit} times is dropped, or dead-lettered`;
}

function expiry(args: QueueInfo['arguments']): string | undefined {
  const ms = args['x-expires'];
  if (typeof ms !== 'number') return undefined;
  return `goes, with what waits in it, when unused for ${lasting(ms)}; with declare=none nobody makes it again`;
}

export function isAtLeast(version: string | undefined, major: number, minor: number): boolean {
  const [is = 0, isMinor = 0] = (version ?? '').split('.').map(Number);
  return is > major || (is === major && isMinor >= minor);
}

function lasting(ms: number): string {
  if (ms >= 7_200_000) return `${Math.round(ms / 3_600_000)} h`;
  return ms >= 60_000 ? `${Math.round(ms / 60_000)} min` : `${ms / 1_000} s`;
}
