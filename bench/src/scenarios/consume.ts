import { drained } from '../drained.ts';
import { PREFETCH } from '../work.ts';

/** A queue of persistent messages, each acknowledged once it was handled. */
export const consume = drained({
  name: 'consume',
  about: 'a full queue of persistent messages, each acknowledged after its handler',
  lines: [
    `Subscriber of @posthorn/messaging in a group; ${PREFETCH} prefetched, acknowledged after the handler`,
    'twin: plain amqplib that parses the same bodies and acknowledges likewise, tuned',
  ],
  parts: { sender: { role: 'publisher' }, receiver: { role: 'worker', onDemand: true } },
  messages: 50_000,
});
