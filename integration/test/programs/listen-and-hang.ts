// Listens, tells what it begins to handle, and never finishes.
import { NotificationListener } from '@posthorn/notify';
import { connect } from 'posthorn';

const [url = '', topic = ''] = process.argv.slice(2);
const transport = await connect(url);
await new NotificationListener(transport, {
  targets: [{ topic }],
  retention: { expiresMs: 300_000 },
  endpoints: [
    {
      info({ eventType }) {
        console.log(`begun ${eventType}`);
        return new Promise(() => undefined);
      },
    },
  ],
}).start();
console.log('listening');
