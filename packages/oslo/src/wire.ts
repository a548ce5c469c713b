import { json, type Wire } from '@posthorn/core';
import { type NotificationFormat, osloNotify } from './notify-codec.ts';
import { type OsloTopologyOptions, osloTopology } from './rabbit-topology.ts';
import { osloRPC } from './rpc-codec.ts';

export interface OsloOptions extends Partial<OsloTopologyOptions> {
  /** The peers' `control_exchange`. Default `openstack`. */
  readonly exchange?: string;
  /**
   * Send exactly what Python sends: no message-id, correlation-id or headers, and calls that are not mandatory, so that
   * a topic that nobody serves is a `TIMEOUT` instead of `UNROUTABLE`. Default false.
   */
  readonly strict?: boolean;
  /** How notifications are sent; both formats are understood. Default `v2`. */
  readonly notifications?: NotificationFormat;
}

/** The wire of Python's oslo.messaging. Its options must be those of the peers: they share queues and exchanges. */
export function oslo(options: OsloOptions = {}): Wire {
  const { exchange = 'openstack', strict = false, notifications = 'v2' } = options;
  const {
    durability = 'transient',
    transientQuorum = false,
    autoDelete = false,
    transientExpiresMs = 1_800_000,
  } = options;
  const { codec, correlate } = osloRPC(strict);
  return {
    name: 'oslo',
    exchange,
    contents: [json],
    codecs: { rpc: codec, notify: osloNotify(notifications, strict) },
    correlate,
    topology: {
      rabbit: osloTopology({ durability, transientQuorum, autoDelete, transientExpiresMs }),
      memory: { space: 'oslo' },
    },
  };
}
