import { connect, RPCClient } from 'posthorn';

interface EchoApi {
  test(args: { arg: string }): string;
}

const [url = 'rabbit://localhost', topic = 'test'] = process.argv.slice(2);
await using transport = await connect(url);

const client = new RPCClient<EchoApi>(transport, { target: { topic } });
console.log(await client.call({}, 'test', { arg: 'Hello, Posthorn!' }));
