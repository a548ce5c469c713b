import { ConfigError, idsOf, type JobEnd, type Logger, MalformedError } from '@posthorn/core';
import { accepts, type NotificationFilter } from './filter.ts';
import type { Notification } from './notification.ts';
import { PRIORITIES, type Priority } from './priorities.ts';

/** Handled, for good. What a method that returns nothing means. */
export const HANDLED = 'handled';
/** Not now: give it to this group again, later. */
export const REQUEUE = 'requeue';

export type Verdict = typeof HANDLED | typeof REQUEUE;

// biome-ignore lint/suspicious/noConfusingVoidType: most methods return nothing
type Handled = Verdict | void | Promise<Verdict | void>;

/** A method for each priority it cares about. `filter` narrows what it gets. */
export type NotificationEndpoint = { readonly filter?: NotificationFilter } & {
  readonly [P in Priority]?: (notification: Notification) => Handled;
};

/** The same, with lists: for listeners that have `batch`. */
export type BatchEndpoint = { readonly filter?: NotificationFilter } & {
  readonly [P in Priority]?: (notifications: readonly Notification[]) => Handled;
};

interface Route {
  readonly endpoint: object;
  readonly accepts: (notification: Notification) => boolean;
  readonly methods: ReadonlyMap<Priority, (argument: unknown) => unknown>;
}

/**
 * Hands notifications to the methods of endpoints; no I/O. What a method throws counts as `REQUEUE`, with the reason, but
 * for a `MalformedError` of a single one: what cannot be understood now will not be later, and is a dead letter at once.
 */
export class NotificationDispatcher {
  readonly #routes: readonly Route[];
  readonly #logger: Logger;

  constructor(endpoints: readonly object[], logger: Logger) {
    this.#routes = endpoints.map(routeOf);
    this.#logger = logger;
  }

  /** The priorities that some endpoint has a method for. */
  get priorities(): readonly Priority[] {
    return PRIORITIES.filter((priority) => this.#routes.some(({ methods }) => methods.has(priority)));
  }

  /** Endpoints in order; the first that wants it again ends the round. */
  dispatch(notification: Notification): Promise<JobEnd> {
    return this.#run(
      notification.priority,
      (route) => (route.accepts(notification) ? notification : undefined),
      notification.eventType,
      notification,
    );
  }

  /** A batch of one priority; each endpoint gets the part that its filter accepts. */
  dispatchBatch(priority: Priority, notifications: readonly Notification[]): Promise<JobEnd> {
    const part = (route: Route): readonly Notification[] | undefined => {
      const accepted = notifications.filter(route.accepts);
      return accepted.length > 0 ? accepted : undefined;
    };
    return this.#run(priority, part, `a batch of ${notifications.length}`);
  }

  async #run(
    priority: Priority,
    argumentFor: (route: Route) => unknown,
    what: string,
    alone?: Notification,
  ): Promise<JobEnd> {
    for (const route of this.#routes) {
      const method = route.methods.get(priority);
      const argument = method && argumentFor(route);
      if (method === undefined || argument === undefined) continue;
      try {
        if ((await method.call(route.endpoint, argument)) === REQUEUE)
          return { outcome: 'release', reason: 'asked for again' };
      } catch (error) {
        const ids = alone && idsOf(alone.id, alone.headers);
        this.#logger.error({ err: error, priority, ...ids }, `handling ${what} failed`);
        const isHopeless = error instanceof MalformedError && !Array.isArray(argument);
        return { outcome: isHopeless ? 'reject' : 'release', reason: error };
      }
    }
    return 'accept';
  }
}

function routeOf(endpoint: object, index: number): Route {
  const methods = new Map<Priority, (argument: unknown) => unknown>();
  for (const priority of PRIORITIES) {
    const method: unknown = Reflect.get(endpoint, priority);
    if (typeof method === 'function') methods.set(priority, method as (argument: unknown) => unknown);
  }
  if (methods.size === 0)
    throw new ConfigError(`endpoints.${index}`, `has no method named after a priority (${PRIORITIES.join(', ')})`);
  return { endpoint, methods, accepts: accepts(Reflect.get(endpoint, 'filter')) };
}
