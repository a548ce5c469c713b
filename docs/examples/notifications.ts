import { createServer } from 'node:http';
// #region notifier
import { Notifier } from 'posthorn';

const notifier = new Notifier(transport, { publisherId: 'compute.host1', retention: { maxLength: 100_000 } });
await notifier.warn({ user_id: 'alice' }, 'disk.low', { free: 3 }); // kept until somebody listens

// #endregion notifier

// #region listener
import { NotificationListener } from 'posthorn';

const audit = new NotificationListener(transport, {
  targets: [{ topic: 'notifications' }],
  endpoints: [
    {
      warn: ({ eventType, payload }) => console.log('warning:', eventType, payload),
      info: ({ eventType, publisherId }) => console.log(`${eventType} of ${publisherId}`),
    },
  ],
});
await audit.start();

// #endregion listener

// #region requeue
import { REQUEUE } from 'posthorn';

let attempts = 0;
await new NotificationListener(transport, {
  targets: [{ topic: 'notifications' }],
  pool: 'billing',
  endpoints: [
    {
      filter: { eventType: 'instance\\.create', payload: { id: 'i-' } },
      info({ payload }) {
        attempts += 1;
        if (attempts < 3) return REQUEUE; // or throw: then the reason is in the log, and in the dead letter
        console.log('billed at attempt', attempts, payload);
        return;
      },
    },
  ],
  retry: { limit: 5, minDelayMs: 10 },
}).start();
// #endregion requeue
await notifier.info({}, 'instance.create.end', { id: 'i-1' });

// #region batch
await new NotificationListener(transport, {
  targets: [{ topic: 'samples' }],
  pool: 'metering',
  batch: { size: 2, maxAgeMs: 10_000 },
  endpoints: [{ sample: (notifications) => console.log('a batch of', notifications.length) }],
}).start();
// #endregion batch
const samples = notifier.prepare({ topics: ['samples'] });
await samples.sample({}, 'cpu', 1);
await samples.sample({}, 'cpu', 2);

// #region iteration
const incoming = await new NotificationListener(transport, { targets: [{ topic: 'jobs' }], pool: 'workers' }).start();
await notifier.prepare({ topics: ['jobs'] }).info({}, 'job.created', { id: 'j-1' });
for await (const { eventType, payload } of incoming) {
  console.log(eventType, payload);
  break; // gives the last one back, since its loop did not finish
}
await incoming.close();

// #endregion iteration

// #region outlets
import { log, messaging, routing, silent } from 'posthorn';

const told = { ...silent, info: (_: object, text?: string) => console.log('log:', text) }; // a pino logger fits as it is
const rules = { group: { messaging: { accepted_priorities: ['error'] }, log: { accepted_events: ['disk.*'] } } };
const routed = new Notifier(transport, {
  publisherId: 'compute.host1',
  outlets: [routing(rules, [messaging(), log(told)])],
});
await routed.info({}, 'disk.ok', {});

// #endregion outlets

// #region http
import { httpNotifications } from 'posthorn';

const tell = httpNotifications(notifier.prepare({ topics: ['http'] }), { ignoreMethods: ['GET'] });
const web = createServer((request, response) => tell(request, response, () => response.end('hello')));
// #endregion http
web.close();

// Here, so that it is not sorted into the first region.
import { transport } from './place.ts';
