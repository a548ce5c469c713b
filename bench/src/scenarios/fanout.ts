import { flowed } from '../flowed.ts';
import { numbers } from '../numbers.ts';
import { PREFETCH } from '../work.ts';

const SUBSCRIBERS = [1, 10, 100, 1_000];
/** Received in a slice, by all together. */
const MESSAGES = 20_000;
/** Published at a time: each is many. */
const IN_FLIGHT = 10;

/** One publisher, and subscribers who each get a copy of everything. */
export const fanout = flowed({
  name: 'fanout',
  about: 'one publisher to 1, 10, 100 and 1,000 subscribers, each of which gets everything',
  columns: [{ key: 'subscribers', title: 'subscribers' }],
  lines: [
    `Publisher to Subscribers without a group, all in one process on one connection; ${PREFETCH} prefetched by each`,
    'twin: plain amqplib with a channel and a private queue for each subscriber, tuned',
  ],
  options: { subscribers: SUBSCRIBERS.join(',') },
  cases: ({ messages = MESSAGES, own }) =>
    numbers('--subscribers', own['subscribers'] ?? SUBSCRIBERS.join(',')).map((many) => ({
      cells: { subscribers: many },
      parts: { sender: { role: 'publisher' }, receiver: { role: 'subscriber', many }, copies: many },
      inFlight: IN_FLIGHT,
      messages: Math.ceil(messages / many),
    })),
});
