const url = process.argv[2] ?? 'memory://';

// #region options
import { connect, OverloadedError, RPCClient } from 'posthorn';

const transport = await connect(url, {
  rabbit: {
    heartbeatMs: 10_000,
    connections: 'split', // a broker that blocks publishers still lets consumers settle
    window: 256, // published and not yet confirmed, at most
    lineMessages: 1_000, // what may wait for the connection or the window
    overflow: 'reject', // one more is OVERLOADED at once
  },
});
// #endregion options

// #region overloaded
const client = new RPCClient(transport, { target: { topic: 'compute' } });
try {
  await client.cast({}, 'reboot', { instance: 'i-1' });
} catch (error) {
  if (error instanceof OverloadedError) console.log('not now: nothing was written');
  else throw error;
}
// #endregion overloaded
console.log('sent');
await transport.close();
