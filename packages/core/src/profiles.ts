import type { Unrouted } from './driver.ts';

/** How a kind of message travels: the promises it makes, as data. */
export interface DeliveryProfile {
  readonly confirm: boolean;
  readonly unrouted: Unrouted;
  readonly persistent: boolean;
}

/**
 * What each kind of message asks of the broker.
 *
 * Calls and replies are not confirmed: the reply itself is the confirmation. Casts are, so that one that resolved is in
 * the broker's hands.
 */
export const profiles: Readonly<Record<'call' | 'reply' | 'cast' | 'fanout' | 'cancel' | 'notify', DeliveryProfile>> = {
  call: { confirm: false, unrouted: 'fail', persistent: false },
  reply: { confirm: false, unrouted: 'fail', persistent: false },
  cast: { confirm: true, unrouted: 'drop', persistent: true },
  fanout: { confirm: true, unrouted: 'drop', persistent: false },
  notify: { confirm: true, unrouted: 'keep', persistent: true },
  cancel: { confirm: false, unrouted: 'drop', persistent: false },
};

/**
 * When a delivery is settled. `first`: when its job starts, so that work is never done twice (at most once).
 * `after`: when its job ended, so that work is never lost (at least once).
 */
export type SettleMoment = 'first' | 'after';
