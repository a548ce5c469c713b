// Connects, serves, calls, closes, and has nothing more to do: the process is to end by itself.
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { connect } from 'posthorn';

const [url = '', topic = ''] = process.argv.slice(2);
const transport = await connect(url);
const echo = { echo: (_: unknown, args: object) => args };
await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [echo] }).start();
const client = new RPCClient(transport, { target: { topic } });
console.log(JSON.stringify(await client.call({}, 'echo', { answer: 42 })));
await client.cast({}, 'echo', {});
await transport.close();
