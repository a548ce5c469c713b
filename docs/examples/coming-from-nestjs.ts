// #region controller
import { type Context, type Endpoints, expose, RPCClient, RPCServer } from 'posthorn';

interface MathApi {
  sum(args: { numbers: readonly number[] }): number;
}

class MathController implements Endpoints<MathApi> {
  @expose // what @MessagePattern marks there
  sum(_context: Context, { numbers }: { numbers: readonly number[] }) {
    return numbers.reduce((sum, number) => sum + number, 0);
  }
}

await new RPCServer(transport, {
  target: { topic: 'math', server: 'host1' },
  endpoints: [new MathController()],
  access: 'explicit',
}).start();
// #endregion controller

// #region client
const math = new RPCClient<MathApi>(transport, { target: { topic: 'math' } });
console.log(await math.call({}, 'sum', { numbers: [1, 2, 3] })); // a promise, not an Observable

// #endregion client

// #region events
import { defineMessage, Publisher, Subscriber } from 'posthorn';
import { z } from 'zod';

const UserCreated = defineMessage({ type: 'user.created', version: '1.0', payload: z.object({ name: z.string() }) });

const welcome = new Subscriber(transport, { exchange: 'users', group: 'welcome' }); // what @EventPattern marks there
welcome.on(UserCreated, ({ name }) => console.log(`welcome, ${name}`));
await welcome.start();

await new Publisher(transport, { exchange: 'users', publisherId: 'web1' }).publish(UserCreated, { name: 'alice' });

// #endregion events

// Here, so that it is not sorted into the first region.
import { transport } from './place.ts';
