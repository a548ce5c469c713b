import type { Address, Comparison, Declaration, Inspection, PlanOptions, Source } from '@posthorn/core';
import type { Management } from './management.ts';
import type { Binding, ExchangeDeclaration, Profile, QueueDeclaration } from './profile.ts';

/** What is declared at the management node for the sources of a subscription, or for sending to the address. */
export function planOf(
  profile: Profile,
  what: readonly Source[] | Address,
  options: PlanOptions,
): readonly Declaration[] {
  if (!('kind' in what)) {
    const { queue, bindings = [] } = profile.intake(what, options);
    return declarationsOf(queue, bindings, []);
  }
  const { exchange } = profile.route(what, options);
  const exchanges = exchange === undefined ? [] : [exchange];
  const isShelved = options.unrouted === 'keep' || options.delayMs !== undefined;
  const shelf = isShelved ? profile.shelf?.(what, options) : undefined;
  return declarationsOf(shelf?.queue, shelf?.bindings ?? [], exchanges);
}

function declarationsOf(
  queue: QueueDeclaration | undefined,
  bindings: readonly Binding[],
  exchanges: readonly ExchangeDeclaration[],
): readonly Declaration[] {
  const all = new Map([...exchanges, ...bindings.map(({ exchange }) => exchange)].map((one) => [one.name, one]));
  const made = [...all.values()].map(
    ({ name, type, durable = true, autoDelete = false }): Declaration => ({
      kind: 'exchange',
      name,
      type,
      durable,
      autoDelete,
    }),
  );
  if (queue === undefined) return made;
  const { name, durable, exclusive, autoDelete = false, arguments: args } = queue;
  return [
    ...made,
    { kind: 'queue', name, durable, exclusive, autoDelete, arguments: args },
    ...bindings.map(
      ({ exchange, key }): Declaration => ({ kind: 'binding', exchange: exchange.name, queue: name, key }),
    ),
  ];
}

/** Looks at the queue that an address is. */
export async function inspectAt(
  management: () => Promise<Management>,
  profile: Profile,
  address: Address,
): Promise<Inspection | undefined> {
  if (address.kind === 'multicast' || address.kind === 'topic') return undefined;
  const name = address.kind === 'reply' ? address.name : profile.intake([address], {}).queue?.name;
  return name === undefined ? undefined : await (await management()).inspectQueue(name);
}

/** Compares, makes or removes at the management node, which tells nothing of exchanges and bindings. */
export async function carryOut(
  management: Management,
  declaration: Declaration,
  verb: 'compare' | 'create' | 'remove',
): Promise<Comparison> {
  if (verb === 'remove') {
    await management.remove(declaration);
    return { state: 'absent' };
  }
  switch (declaration.kind) {
    case 'queue': {
      const { name, exclusive } = declaration;
      if (exclusive || (verb === 'compare' && !(await management.inspectQueue(name)).exists))
        return { state: 'absent' };
      const { same, reason = '' } = await management.declareQueue({ ...declaration, onClose: 'keep' });
      return same ? { state: 'same' } : { state: 'differs', reason };
    }
    case 'exchange':
      return verb === 'compare' ? { state: 'unknown' } : await management.makeExchange(declaration);
    case 'binding': {
      if (verb === 'compare') return { state: 'unknown' };
      const { exchange, queue, key } = declaration;
      await management.bind(queue, { exchange: { name: exchange, type: 'topic' }, key });
      return { state: 'same' };
    }
  }
}
