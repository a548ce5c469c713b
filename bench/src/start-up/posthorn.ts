/** A process that makes one call with Posthorn, and prints what took how long. */
import { ARGS, type Args, METHOD, reboot } from '../work.ts';
import { StopWatch } from './start-up.ts';

const [url = '', topic = ''] = process.argv.slice(2);
const watch = new StopWatch();
const { connect, RPCClient, RPCServer } = await import('posthorn');
watch.imported();
await using transport = await connect(url);
watch.connected();
if (url.startsWith('memory:')) {
  const endpoints = [{ [METHOD]: (_context: object, args: Args) => reboot(args) }];
  await new RPCServer(transport, { target: { topic, server: 'bench' }, endpoints }).start();
}
await new RPCClient(transport, { target: { topic } }).call({}, METHOD, ARGS);
console.log(JSON.stringify(watch.answered()));
