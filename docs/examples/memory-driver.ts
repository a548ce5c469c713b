// #region named
import { connect, MemoryFaults, MessagingError, RPCClient, RPCServer } from 'posthorn';

await using serving = await connect('memory://shop'); // transports of one name meet
await using calling = await connect('memory://shop');
await using alone = await connect('memory://'); // meets nobody
// #endregion named

const target = { topic: 'payment', server: 'p1' };
await new RPCServer(serving, { target, endpoints: [{ charge: () => 'paid' }] }).start();
console.log(await new RPCClient(calling, { target: { topic: 'payment' } }).call({}, 'charge'));
await new RPCClient(alone, { target: { topic: 'payment' } }).call({}, 'charge').catch(({ code }) => console.log(code));

// #region faults
const faults = new MemoryFaults();
await using unlucky = await connect('memory://shop', { memory: { faults } });
faults.nextSends('cut'); // the request is written, and then the connection is lost
try {
  await new RPCClient(unlucky, { target: { topic: 'payment' } }).call({}, 'charge');
} catch (error) {
  console.log(error instanceof MessagingError && error.code); // UNKNOWN: nobody can know
}
// #endregion faults
