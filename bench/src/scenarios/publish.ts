import { looped } from '../looped.ts';

/** So many messages stay in the queue, lest the broker write ever more to disk. */
const KEPT = 1_000;

/** Confirmed publishing, at most so many unconfirmed. */
export const publish = looped({
  name: 'publish',
  about: 'persistent messages to a durable queue, each confirmed, at most so many unconfirmed',
  schemes: ['rabbit', 'amqp1'],
  unit: 'Message',
  waiting: 'unconfirmed',
  levels: [1, 100, 1_000],
  lines: [
    `Publisher of @posthorn/messaging: persistent, confirmed; a durable queue that keeps the last ${KEPT}, a deadline each`,
    'twin: the plain library with the same envelope, queue, confirms and deadlines, tuned',
  ],
  notes: ['p50, p99: from the call to the confirmation. CPU: the publisher’s.'],
  parts: { sender: { role: 'publisher', keep: KEPT } },
});
