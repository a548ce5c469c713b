import type { Address, Lane, Redelivery, Retention, SendOptions, Source } from '@posthorn/core';
import type { EntryPoint } from './entry-point.ts';
import type { ServiceMessage } from './messages.ts';

/**
 * How a service's messages share queues. `split`: answers have a queue of their own, so that they do not wait behind
 * requests. `shared`: one queue takes all, and the names are those of Tavrida. All that talk to each other must agree.
 */
export type Lanes = 'split' | 'shared';

const isAnswer = ({ type }: ServiceMessage): boolean => type === 'response' || type === 'error';

/** Where a message goes; `exchange` is that of the service it is for, or that it publishes to. */
export function addressOf(message: ServiceMessage, exchange: string, lanes: Lanes): Address {
  const key = String(message.type === 'notification' ? message.source : message.destination);
  return { kind: 'topic', exchange: isAnswer(message) && lanes === 'split' ? answersOf(exchange) : exchange, key };
}

/** What becomes of a message that nobody listens for yet. */
export function fateOf(
  message: ServiceMessage,
  exchange: string,
  lanes: Lanes,
): Pick<SendOptions, 'unrouted' | 'keepFor'> {
  if (message.type === 'notification') return { unrouted: 'drop' };
  // The name of a shared queue is its owner's affair, so that nobody else can make it.
  if (lanes === 'shared') return { unrouted: 'fail' };
  const queue = queueOf(exchange, message.destination.service);
  return { unrouted: 'keep', keepFor: isAnswer(message) ? answersOf(queue) : queue };
}

/** What a queue is to take: the services that it is for, and what they subscribe to. */
export interface Intake {
  readonly exchange: string;
  readonly services: readonly string[];
  readonly subscriptions: readonly { readonly entryPoint: EntryPoint; readonly exchange: string }[];
  /** The name of a shared queue. */
  readonly queue?: string | undefined;
}

/** The queues of an intake and what feeds them. `redelivery` makes that of the queue with the name. */
export function lanesOf(
  { exchange, services, subscriptions, queue }: Intake,
  lanes: Lanes,
  redelivery: (queue: string) => Redelivery,
  retention: Retention | undefined,
): readonly Lane[] {
  const [first = ''] = services;
  const to = (from: string): Source[] =>
    services.map((service) => ({ kind: 'topic', exchange: from, pattern: `${service}.#` }));
  const heard = subscriptions.map(
    (one): Source => ({ kind: 'topic', exchange: one.exchange, pattern: `${one.entryPoint}.#` }),
  );
  const lane = (group: string, sources: readonly Source[]): Lane => ({
    sources,
    options: { group, ...(retention && { retention }) },
    redelivery: redelivery(group),
  });
  if (lanes === 'shared') return [lane(queue ?? first, [...to(exchange), ...heard])];
  const own = queueOf(exchange, first);
  return [lane(own, [...to(exchange), ...heard]), lane(answersOf(own), to(answersOf(exchange)))];
}

function answersOf(name: string): string {
  return `${name}.answers`;
}

/** Services of one name in two exchanges share nothing. */
function queueOf(exchange: string, service: string): string {
  return `${exchange}/${service}`;
}
