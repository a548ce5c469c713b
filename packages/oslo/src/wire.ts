import { json, type Wire } from '@posthorn/core';
import type { Addressing } from './amqp1-addresses.ts';
import { amqp1Notify } from './amqp1-notify-codec.ts';
import { amqp1OnRabbitMQ } from './amqp1-on-rabbitmq.ts';
import { amqp1RPC } from './amqp1-rpc-codec.ts';
import { amqp1Topology } from './amqp1-topology.ts';
import { type NotificationFormat, osloNotify } from './notify-codec.ts';
import { type OsloTopologyOptions, osloTopology } from './rabbit-topology.ts';
import { osloRPC } from './rpc-codec.ts';

export interface OsloOptions extends Partial<OsloTopologyOptions> {
  /** The peers' `control_exchange`. Default `openstack`. */
  readonly exchange?: string;
  /**
   * Send exactly what Python sends: no ids and headers that it has not, acknowledgements of replies, calls that are not
   * mandatory, so that a topic that nobody serves is a `TIMEOUT` instead of `UNROUTABLE`, and over AMQP 1.0 casts whose
   * outcome nobody hears. Default false.
   */
  readonly strict?: boolean;
  /** How notifications are sent; both formats are understood. Default `v2`. */
  readonly notifications?: NotificationFormat;
  /** Over AMQP 1.0: the peers' `addressing_mode`. Default `dynamic`. */
  readonly addressing?: Addressing;
}

/**
 * The wire of Python's oslo.messaging: over `rabbit://` that of its rabbit driver, over `amqp1://` that of the amqp driver
 * that it had up to version 14; but on RabbitMQ, where that driver does not work, its peers are those of the rabbit driver. Its options must be those of the peers: they share queues and exchanges.
 */
export function oslo(options: OsloOptions = {}): Wire {
  const { exchange = 'openstack', strict = false, notifications = 'v2', addressing = 'dynamic' } = options;
  const {
    durability = 'transient',
    transientQuorum = false,
    autoDelete = false,
    transientExpiresMs = 1_800_000,
  } = options;
  const { codec, correlate } = osloRPC(strict);
  const rabbit = osloTopology({ durability, transientQuorum, autoDelete, transientExpiresMs, strict });
  const common = { name: 'oslo', exchange, contents: [json] };
  return {
    ...common,
    codecs: { rpc: codec, notify: osloNotify(notifications, strict) },
    correlate,
    topology: { rabbit, amqp1: amqp1OnRabbitMQ(rabbit), memory: { space: 'oslo' } },
    on({ name, product }) {
      if (name !== 'amqp1' || product === 'RabbitMQ') return undefined;
      return {
        ...common,
        codecs: { rpc: amqp1RPC(strict), notify: amqp1Notify(notifications, strict) },
        topology: { amqp1: amqp1Topology({ addressing, strict, product }) },
      };
    },
  };
}
