/** The process of a Posthorn client or server, as an application would write it. */
import { connect, RPCClient, RPCServer } from 'posthorn';
import { obey } from './peer.ts';
import { ARGS, type Args, METHOD, type Result, reboot } from './work.ts';

interface Api {
  [METHOD](args: Args): Result;
}

obey(async ({ role, url, topic }) => {
  const transport = await connect(url);
  if (role !== 'client') {
    const endpoints = [{ [METHOD]: (_context: object, args: Args) => reboot(args) }];
    await new RPCServer(transport, { target: { topic, server: 'bench' }, endpoints }).start();
  }
  const client = new RPCClient<Api>(transport, { target: { topic } });
  return {
    ...(role !== 'server' && { call: () => client.call({}, METHOD, ARGS) }),
    close: async () => void (await transport.close()),
  };
});
