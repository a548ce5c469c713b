import type { HeaderValue, Retention, SendOptions } from '@posthorn/core';

/** The one product name in the Open frame by which the driver knows the broker. */
export const PRODUCT = 'Posthorn';

/** Message annotations from clients: how to send. `x-opt-delivery-delay` and `-time` are what others use, too. */
export const KEEP = 'x-opt-keep';
export const KEEP_FOR = 'x-opt-keep-for';
export const DELAY = 'x-opt-delivery-delay';
export const DELIVERY_TIME = 'x-opt-delivery-time';
/** A message annotation to clients: the address that the message was sent to. */
export const SENT_TO = 'x-opt-sent-to';
/** Properties of a receiver's link: further sources that feed the same queue, and the group that shares it. */
export const SOURCES = 'x-opt-sources';
export const GROUP = 'x-opt-group';
/** Do not make the queue: refuse the link when there is none. */
export const PASSIVE = 'x-opt-passive';
/** A property of the broker's answer: the queue was there with other attributes. */
export const DIFFERS = 'x-opt-differs';

const RETENTION = {
  durability: 'x-opt-durability',
  expiresMs: 'x-opt-expires',
  maxLength: 'x-opt-max-length',
  maxPriority: 'x-opt-max-priority',
  deadLetter: 'x-opt-dead-letter',
} as const satisfies Record<keyof Retention, string>;

/** All that clients put into message annotations for the broker alone. */
export const FOR_THE_BROKER: readonly string[] = [KEEP, KEEP_FOR, DELAY, DELIVERY_TIME, ...Object.values(RETENTION)];

type Named = Readonly<Record<string, unknown>>;

/** The attributes of a queue, as annotations or link properties. */
export function retentionToNames(retention: Retention | undefined): Record<string, HeaderValue> {
  const names: Record<string, HeaderValue> = {};
  for (const [field, name] of Object.entries(RETENTION)) {
    const value = retention?.[field as keyof Retention];
    if (value !== undefined) names[name] = value;
  }
  return names;
}

export function retentionFromNames(names: Named): Retention {
  const { durability, expiresMs, maxLength, maxPriority, deadLetter } = RETENTION;
  const kept = names[durability];
  return {
    ...((kept === 'transient' || kept === 'durable' || kept === 'quorum') && { durability: kept }),
    ...whole('expiresMs', names[expiresMs]),
    ...whole('maxLength', names[maxLength]),
    ...whole('maxPriority', names[maxPriority]),
    ...(typeof names[deadLetter] === 'string' && { deadLetter: names[deadLetter] }),
  };
}

/** Node's timers are no longer than this. */
const LONGEST_MS = 0x7fff_ffff;

function whole(field: 'expiresMs' | 'maxLength' | 'maxPriority', value: unknown): Retention {
  return typeof value === 'number' && value >= 0 ? { [field]: Math.min(value, LONGEST_MS) } : {};
}

/** How to send, as the annotations of a message tell. */
export function sendOptionsOf(annotations: Named, nowMs: number): SendOptions {
  const delayMs = delayOf(annotations, nowMs);
  const keepFor = annotations[KEEP_FOR];
  return {
    unrouted: annotations[KEEP] === true ? 'keep' : 'fail',
    ...(delayMs > 0 && { delayMs }),
    ...(typeof keepFor === 'string' && { keepFor }),
    retention: retentionFromNames(annotations),
  };
}

function delayOf(annotations: Named, nowMs: number): number {
  const [delay, time] = [annotations[DELAY], annotations[DELIVERY_TIME]];
  if (typeof delay === 'number') return Math.min(delay, LONGEST_MS);
  return typeof time === 'number' ? Math.min(time - nowMs, LONGEST_MS) : 0;
}
