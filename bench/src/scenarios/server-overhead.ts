import { drained } from '../drained.ts';
import { PREFETCH } from '../work.ts';

/** What a framework costs a server that does nothing: casts that wait already, to a method that is empty. */
export const serverOverhead = drained({
  name: 'server-overhead',
  about: 'casts that wait in the queue: RPCServer with an empty method, beside a plain consumer',
  lines: [
    `RPCServer with one method that does nothing; ${PREFETCH} prefetched, acknowledged when the method starts`,
    'twin: a plain amqplib consumer that parses and acknowledges the same casts likewise, tuned',
  ],
  parts: () => ({ sender: { role: 'caster' }, receiver: { role: 'sink', onDemand: true } }),
  messages: 100_000,
});
