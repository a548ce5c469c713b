import { transport } from './place.ts';

const ready = true;
const store = (...what: readonly unknown[]) => console.log('stored', ...what);
const alarm = (who: string) => console.log('alarm at', who);

// #region all
import { NotificationListener, Notifier, REQUEUE } from 'posthorn';

await new NotificationListener(transport, {
  targets: [{ topic: 'notifications' }],
  pool: 'metering', // its listeners share; every other pool gets its own copy
  endpoints: [
    {
      filter: { eventType: /instance\./, payload: { id: 'i-' } }, // patterns, anchored at the start
      info: ({ eventType, payload }) => (ready ? store(eventType, payload) : REQUEUE),
      error: ({ publisherId }) => alarm(publisherId),
    },
  ],
  retry: { limit: 5, minDelayMs: 1_000 },
}).start();

const notifier = new Notifier(transport, { publisherId: 'compute.host1', topics: ['notifications'] });
await notifier.info({ user_id: 'alice' }, 'instance.create.end', { id: 'i-1' }); // resolves when the broker has it
// #endregion all
