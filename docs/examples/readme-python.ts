import { connect, oslo, RPCClient, RPCServer } from 'posthorn';

const url = process.argv[2] ?? `memory://${process.pid}`;

// #region transport
const transport = await connect(`${url}?wire=oslo`);
// or, with the options that the peers use:
const nova = await connect(url, { wire: oslo({ exchange: 'nova', durability: 'quorum' }) });
// #endregion transport

const target = { topic: 'conductor', server: 'host1' };
// #region errors
class ValueError extends Error {}
const errors = { 'builtins.ValueError': ValueError };
const client = new RPCClient(transport, { target, errors });
// #endregion errors
const fail = () => {
  throw new ValueError('no such instance');
};
await new RPCServer(transport, { target, errors, endpoints: [{ fail }] }).start();
await client.call({}, 'fail').catch((error) => console.log(error instanceof ValueError, error.message));
await transport.close();
await nova.close();
