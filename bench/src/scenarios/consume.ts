import { drained } from '../drained.ts';
import { PREFETCH } from '../work.ts';

/** In the range that RabbitMQ's documentation has for most throughput, 100 to 300. With fewer, both ends wait for each other. */
const MANY_PREFETCHED = 256;

/** A queue of persistent messages, each acknowledged once it was handled. */
export const consume = drained({
  name: 'consume',
  about: 'a full queue of persistent messages, each acknowledged after its handler',
  lines: [
    'Subscriber of @posthorn/messaging in a group; acknowledged after the handler',
    'twin: plain amqplib that parses the same bodies and acknowledges likewise, tuned',
  ],
  parts: (prefetch) => ({ sender: { role: 'publisher' }, receiver: { role: 'worker', onDemand: true, prefetch } }),
  prefetch: [PREFETCH, MANY_PREFETCHED],
  messages: 50_000,
});
