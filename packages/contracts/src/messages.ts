import { defineMessage, type MessageType } from '@posthorn/messaging';
import type { Contract, ContractDefinition, EventInput, EventName, EventPayload } from './contract.ts';

/** The events of a contract as types of messages, for `Publisher` and `Subscriber`. Their version is the contract's. */
export type ContractMessages<D extends ContractDefinition> = {
  readonly [E in EventName<D>]: MessageType<EventPayload<D, E>, EventInput<D, E>>;
};

export function messagesOf<D extends ContractDefinition>({ definition }: Contract<D>): ContractMessages<D> {
  const { version, events = {} } = definition;
  return Object.fromEntries(
    Object.entries(events).map(([type, { payload }]) => [type, defineMessage({ type, version, payload })]),
  ) as ContractMessages<D>;
}
