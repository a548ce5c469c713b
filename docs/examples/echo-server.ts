import { type Context, connect, RPCServer } from 'posthorn';

const [url = 'rabbit://localhost', topic = 'test'] = process.argv.slice(2);
const transport = await connect(url);

const echo = {
  test: (_context: Context, { arg }: { arg: string }) => arg,
};

const control = {
  target: { namespace: 'control', version: '2.0' },
  // Closing waits for what runs, this very call included: its reply is sent first.
  stop: () => void transport.close(),
};

await new RPCServer(transport, { target: { topic, server: 'server1' }, endpoints: [echo, control] }).start();
console.log('ready');
