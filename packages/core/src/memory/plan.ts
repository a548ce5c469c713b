import { type Address, describe, type Source } from '../address.ts';
import type { Declaration, PlanOptions } from '../declaration.ts';
import type { Retention } from '../driver.ts';
import { newId } from '../id.ts';
import { sharedName } from './broker.ts';

/** The queue that the sources feed, with what feeds it besides its own name. */
export function planToReceive(from: readonly Source[], { group, retention }: PlanOptions): readonly Declaration[] {
  const [first] = from;
  if (first === undefined) return [];
  const shared = group === undefined ? sharedName(first) : `group ${group}`;
  const name = shared ?? `private ${newId()}`;
  const bindings = from.flatMap((source): Declaration[] => {
    if (source.kind === 'reply' || sharedName(source) === name) return [];
    const exchange = source.kind === 'topic' ? `topic ${source.exchange}` : describe(source);
    return [{ kind: 'binding', exchange, queue: name, key: source.kind === 'topic' ? source.pattern : '' }];
  });
  return [queueOf(name, shared === undefined, retention), ...bindings];
}

/** Only what is kept makes a queue. */
export function planToSend(to: Address, { unrouted, keepFor, retention }: PlanOptions): readonly Declaration[] {
  if (unrouted !== 'keep') return [];
  return [queueOf(to.kind === 'topic' ? `group ${keepFor ?? to.key}` : describe(to), false, retention)];
}

function queueOf(name: string, exclusive: boolean, retention: Retention = {}): Declaration {
  return { kind: 'queue', name, durable: false, exclusive, autoDelete: false, arguments: { ...retention } };
}
