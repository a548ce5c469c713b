import type { Address, Declaration, PlanOptions, Source } from '@posthorn/core';
import { delayIntake } from './naming.ts';
import type { ExchangeDeclaration, Intake, Topology } from './topology.ts';

/** What is declared for the sources of a subscription, or for sending to the address. */
export function planOf(
  topology: Topology,
  what: readonly Source[] | Address,
  options: PlanOptions,
): readonly Declaration[] {
  if ('kind' in what) return planToSend(topology, what, options);
  return declarationsOf(topology.intake(what, options));
}

function planToSend(topology: Topology, to: Address, options: PlanOptions): readonly Declaration[] {
  const route = topology.route(to);
  const exchanges = route.exchange === undefined ? [] : [exchangeOf(route.exchange)];
  if (options.delayMs !== undefined) return [...exchanges, ...declarationsOf(delayIntake(route, options.delayMs))];
  if (options.unrouted !== 'keep') return exchanges;
  const kept = declarationsOf(topology.kept(to, options));
  return [
    ...exchanges.filter(({ name }) => !kept.some((one) => one.kind === 'exchange' && one.name === name)),
    ...kept,
  ];
}

function declarationsOf({ queue, bindings }: Intake): readonly Declaration[] {
  const { name, durable, exclusive, autoDelete, arguments: args } = queue;
  const exchanges = new Map(bindings.map(({ exchange }) => [exchange.name, exchangeOf(exchange)]));
  return [
    ...exchanges.values(),
    { kind: 'queue', name, durable, exclusive, autoDelete, arguments: args },
    ...bindings.map(
      ({ exchange, key }): Declaration => ({ kind: 'binding', exchange: exchange.name, queue: name, key }),
    ),
  ];
}

function exchangeOf({ name, type, durable, autoDelete }: ExchangeDeclaration): Declaration & { kind: 'exchange' } {
  return { kind: 'exchange', name, type, durable, autoDelete };
}

/** The queue that an address is, or undefined where there is one for each who listens. */
export function queueNameOf(topology: Topology, address: Address): string | undefined {
  switch (address.kind) {
    case 'multicast':
    case 'topic':
      return undefined;
    case 'reply':
      return topology.route(address).key;
    default:
      return topology.intake([address], {}).queue.name;
  }
}
