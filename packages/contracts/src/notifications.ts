import type { Context, Transport } from '@posthorn/core';
import {
  type ListenTarget,
  type Notification,
  type NotificationEndpoint,
  NotificationListener,
  type NotificationListenerOptions,
  Notifier,
  type NotifierOptions,
  type NotifyOptions,
  type Priority,
  type Verdict,
} from '@posthorn/notify';
import type { Contract, ContractDefinition, EventInput, EventName, EventPayload } from './contract.ts';
import { parse, type Validate } from './validation.ts';

export interface ContractNotifierOptions extends NotifierOptions {
  /** Default `incoming`: nothing here. With `all` payloads, before they are sent. */
  readonly validate?: Validate;
}

/** Tells of the contract's events. */
export class ContractNotifier<D extends ContractDefinition> {
  /** The notifier underneath, which checks nothing. */
  readonly notifier: Notifier;
  readonly #contract: Contract<D>;
  readonly #validate: Validate;

  /** @internal */
  constructor(notifier: Notifier, contract: Contract<D>, validate: Validate) {
    this.notifier = notifier;
    this.#contract = contract;
    this.#validate = validate;
  }

  /**
   * Tells of an event, with the priority that the contract gives it. See `Notifier.notify`.
   *
   * @throws {MalformedError} (rejects) with `validate: 'all'`, saying where the payload is wrong
   */
  async notify<E extends EventName<D>>(
    context: Context,
    event: E,
    payload: EventInput<D, E>,
    options?: NotifyOptions,
  ): Promise<void> {
    const definition = this.#contract.definition.events?.[event];
    if (this.#validate === 'all' && definition !== undefined) await parse(definition.payload, payload, event);
    await this.notifier.notify(definition?.priority ?? 'info', context, event, payload, options);
  }
}

export function contractNotifier<D extends ContractDefinition>(
  transport: Transport,
  contract: Contract<D>,
  { validate = 'incoming', ...options }: ContractNotifierOptions,
): ContractNotifier<D> {
  const { exchange } = contract.definition;
  const notifier = new Notifier(transport, { ...(exchange !== undefined && { exchange }), ...options });
  return new ContractNotifier(notifier, contract, validate);
}

// biome-ignore lint/suspicious/noConfusingVoidType: most handlers return nothing
type Handled = Verdict | void | Promise<Verdict | void>;

/** A handler for each event that somebody cares about. */
export type EventHandlers<D extends ContractDefinition> = {
  readonly [E in EventName<D>]?: (payload: EventPayload<D, E>, notification: Notification) => Handled;
};

export interface ContractListenerOptions<D extends ContractDefinition>
  extends Omit<NotificationListenerOptions, 'targets' | 'endpoints' | 'priorities' | 'batch'> {
  readonly on: EventHandlers<D>;
  /** Default: the topic `notifications` of the contract's exchange. */
  readonly targets?: readonly ListenTarget[];
  /** Default `incoming`: payloads. One that does not follow its schema is a dead letter at once. */
  readonly validate?: Validate;
}

/** Listens to the contract's events; others are passed over. */
export function contractListener<D extends ContractDefinition>(
  transport: Transport,
  contract: Contract<D>,
  { on, targets, validate, ...options }: ContractListenerOptions<D>,
): NotificationListener {
  const { exchange } = contract.definition;
  return new NotificationListener(transport, {
    ...options,
    targets: targets ?? [{ topic: 'notifications', ...(exchange !== undefined && { exchange }) }],
    endpoints: [eventEndpoint(contract, on, validate === undefined ? {} : { validate })],
  });
}

/** The handlers as an endpoint, for a listener that has others, too. */
export function eventEndpoint<D extends ContractDefinition>(
  contract: Contract<D>,
  on: EventHandlers<D>,
  { validate = 'incoming' }: { readonly validate?: Validate } = {},
): NotificationEndpoint {
  const { events = {} } = contract.definition;
  const handlers = new Map(Object.entries<((payload: never, notification: Notification) => Handled) | undefined>(on));
  const handle = async (notification: Notification): Promise<Verdict | undefined> => {
    const { eventType, payload } = notification;
    const definition = Object.hasOwn(events, eventType) ? events[eventType] : undefined;
    const handler = handlers.get(eventType);
    if (definition === undefined || handler === undefined) return undefined;
    const checked = validate === 'none' ? payload : await parse(definition.payload, payload, eventType);
    return (await handler(checked as never, { ...notification, payload: checked })) ?? undefined;
  };
  const heard = Object.entries(events).filter(([event]) => handlers.get(event) !== undefined);
  const priorities = new Set(heard.map(([, { priority = 'info' }]): Priority => priority));
  return Object.fromEntries([...priorities].map((priority) => [priority, handle]));
}
