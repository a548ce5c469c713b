// #region all
import { connect, type Endpoints, RPCClient, RPCServer } from 'posthorn';

interface ComputeApi {
  reboot(args: { instance: string }): Promise<string>;
}

const transport = await connect(process.argv[2] ?? 'memory://'); // or rabbit://guest:guest@localhost

const endpoint: Endpoints<ComputeApi> = {
  reboot: async (_context, { instance }) => `${instance} rebooted`,
};
const target = { topic: 'compute', server: 'host1' };
await new RPCServer(transport, { target, endpoints: [endpoint] }).start();

const compute = new RPCClient<ComputeApi>(transport, { target: { topic: 'compute' } });
console.log(await compute.call({ user: 'alice' }, 'reboot', { instance: 'i-1' })); // i-1 rebooted
await compute.prepare({ server: 'host1' }).cast({}, 'reboot', { instance: 'i-2' }); // no answer
await compute.fanout({}, 'reboot', { instance: 'i-3' }); // every server of the topic

await transport.close();
// #endregion all
