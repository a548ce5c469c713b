import { flowed } from '../flowed.ts';
import { BATCH_MS } from '../work.ts';

const BATCHES = [1, 100];
const LEVELS = [1_000];
const MESSAGES = 100_000;

/** Notifications, to an endpoint that gets them one by one, and to one that gets them in batches. */
export const notify = flowed({
  name: 'notify',
  about: 'confirmed, persistent notifications, handled one by one and in batches of 100',
  columns: [
    { key: 'batch', title: 'batch' },
    { key: 'inFlight', title: 'unconfirmed' },
  ],
  lines: [
    'Notifier to NotificationListener: persistent, mandatory, confirmed; acknowledged after the endpoint',
    `twin: plain amqplib with the same promises, tuned; batches wait ${BATCH_MS} ms at most`,
  ],
  cases: ({ inFlight: levels = LEVELS, messages = MESSAGES }) =>
    BATCHES.flatMap((batch) =>
      levels.map((inFlight) => ({
        cells: { batch, inFlight },
        parts: { sender: { role: 'notifier' }, receiver: { role: 'listener', ...(batch > 1 && { batch }) } },
        inFlight,
        messages,
      })),
    ),
});
