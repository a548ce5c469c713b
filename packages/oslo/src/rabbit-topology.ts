import { type Address, newId, type Retention, type Source, TargetError, UnsupportedError } from '@posthorn/core';

/**
 * What Python's rabbit driver declares. The shapes are those of the RabbitMQ driver's `Topology`, which takes them as an
 * ordinary option: this package does not know that driver.
 */
export interface OsloTopologyOptions {
  /** How topic queues are kept: `transient` as by default in Python, `amqp_durable_queues`, or `rabbit_quorum_queue`. */
  readonly durability: 'transient' | 'durable' | 'quorum';
  /** `rabbit_transient_quorum_queue`: reply and fanout queues are quorum queues, too. */
  readonly transientQuorum: boolean;
  /** `amqp_auto_delete`. */
  readonly autoDelete: boolean;
  /** `rabbit_transient_queues_ttl`, in milliseconds. */
  readonly transientExpiresMs: number;
  /** Also where nobody else can tell: replies are acknowledged. */
  readonly strict: boolean;
}

interface Exchange {
  readonly name: string;
  readonly type: 'fanout' | 'topic';
  readonly durable: boolean;
  readonly autoDelete: boolean;
}

interface Queue {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  readonly onClose: 'delete' | 'keep';
}

interface Route {
  readonly exchange: Exchange | undefined;
  readonly key: string;
}

interface Intake {
  readonly queue: Queue;
  readonly bindings: readonly { readonly exchange: Exchange; readonly key: string }[];
}

export interface OsloTopology {
  route(to: Address): Route;
  intake(
    from: readonly Source[],
    options: { readonly group?: string | undefined; readonly retention?: Retention | undefined },
  ): Intake;
  kept(to: Address, options?: { readonly retention?: Retention | undefined }): Intake;
  readonly priority: number;
  readonly persistent: boolean;
  readonly keepsAlways: boolean;
  readonly acknowledgesReplies: boolean;
}

/**
 * | address | exchange | key | queue |
 * |---|---|---|---|
 * | anycast | topic `X` | `T` | `T` |
 * | unicast | topic `X` | `T.S` | `T.S` |
 * | multicast | fanout `T_fanout`, auto-delete | empty | `T_fanout_<hex>`, bound with `T`, expires |
 * | topic (notifications) | topic `X` | the key | the key, or the pool's name |
 * | reply | the default one | the queue | `reply_<hex>`, expires |
 */
export function osloTopology(options: OsloTopologyOptions): OsloTopology {
  const topicExchange = (name: string): Exchange => ({
    name,
    type: 'topic',
    durable: options.durability !== 'transient',
    autoDelete: options.autoDelete,
  });
  const fanoutExchange = (topic: string): Exchange => ({
    name: `${topic}_fanout`,
    type: 'fanout',
    durable: options.transientQuorum,
    autoDelete: true,
  });
  const topicQueue = (name: string): Queue => ({
    name,
    durable: options.durability !== 'transient',
    exclusive: false,
    autoDelete: options.autoDelete,
    arguments: options.durability === 'quorum' ? { 'x-queue-type': 'quorum' } : {},
    onClose: 'keep',
  });
  const transientQueue = (name: string): Queue => ({
    name,
    durable: options.transientQuorum,
    exclusive: false,
    autoDelete: false,
    arguments: {
      ...(options.transientQuorum && { 'x-queue-type': 'quorum' }),
      ...(options.transientExpiresMs > 0 && { 'x-expires': options.transientExpiresMs }),
    },
    onClose: 'delete',
  });

  const route = (to: Address): Route => {
    switch (to.kind) {
      case 'anycast':
        return { exchange: topicExchange(to.exchange), key: to.topic };
      case 'unicast':
        return { exchange: topicExchange(to.exchange), key: `${to.topic}.${to.server}` };
      case 'multicast':
        return { exchange: fanoutExchange(to.topic), key: '' };
      case 'topic':
        return { exchange: topicExchange(to.exchange), key: to.key };
      case 'group':
      case 'mailbox':
      case 'reply':
        return { exchange: undefined, key: to.name };
    }
  };

  const intakeOf = (source: Source): Intake => {
    switch (source.kind) {
      case 'multicast': {
        const queue = transientQueue(`${source.topic}_fanout_${newId()}`);
        return { queue, bindings: [{ exchange: fanoutExchange(source.topic), key: source.topic }] };
      }
      case 'topic':
        return {
          queue: topicQueue(source.pattern),
          bindings: [{ exchange: topicExchange(source.exchange), key: source.pattern }],
        };
      case 'reply':
        return { queue: transientQueue(`reply_${newId()}`), bindings: [] };
      default: {
        const { exchange, key } = route(source);
        return { queue: topicQueue(key), bindings: exchange === undefined ? [] : [{ exchange, key }] };
      }
    }
  };

  return {
    priority: 0,
    persistent: true,
    // Python's notifiers declare the queue of each topic and priority, whoever listens.
    keepsAlways: true,
    acknowledgesReplies: options.strict,
    route,
    intake(from, { group }) {
      const [first, ...others] = from.map(intakeOf);
      if (first === undefined) throw new TargetError('no source to subscribe to');
      const bindings = [first, ...others].flatMap((intake) => intake.bindings);
      return { queue: group === undefined ? first.queue : topicQueue(group), bindings };
    },
    kept(to) {
      if (to.kind === 'multicast' || to.kind === 'reply')
        throw new UnsupportedError('rabbit', `keeping messages for a ${to.kind} address`);
      const { exchange, key } = route(to);
      return { queue: topicQueue(key), bindings: exchange === undefined ? [] : [{ exchange, key }] };
    },
  };
}
