const url = process.argv[2] ?? `memory://${process.pid}`;

// #region server
import { type Context, connect, oslo, RPCServer, serial } from 'posthorn';

const transport = await connect(url, { wire: oslo({ exchange: 'openstack' }) });

class TestEndpoint {
  readonly target = { namespace: 'test', version: '2.0' };

  test(_context: Context, { arg }: { arg: string }) {
    return arg;
  }
}

const target = { topic: 'test', server: 'server1' };
const server = new RPCServer(transport, { target, endpoints: [new TestEndpoint()], executor: serial() });
await server.start();

// #endregion server

// #region client
import { RemoteError, RPCClient } from 'posthorn';

const client = new RPCClient(transport, { target: { topic: 'test', namespace: 'test', version: '2.0' } });
const cctxt = client.prepare({ timeoutMs: 30_000 });
try {
  console.log(await cctxt.call({ user_id: 'alice' }, 'test', { arg: 'ping' }));
} catch (error) {
  if (error instanceof RemoteError) console.error(error.type, error.trace);
  throw error;
}

// #endregion client

// #region notifier
import { NotificationListener, Notifier } from 'posthorn';

const notifier = new Notifier(transport, { publisherId: 'compute.host1', topics: ['notifications'] });
await notifier.info({ user_id: 'alice' }, 'compute.instance.create.end', { instance_id: 'i-1' });

const listener = new NotificationListener(transport, {
  targets: [{ topic: 'notifications' }],
  endpoints: [
    {
      filter: { publisherId: 'compute\\..*' },
      info: ({ publisherId, eventType, payload }) => console.log(publisherId, eventType, payload),
    },
  ],
});
await listener.start();
// #endregion notifier
