// #region program
// #region greeter
import { connect, contractClient, contractServer, defineContract } from 'posthorn';
import { z } from 'zod';

const Greeter = defineContract({
  topic: 'greeter',
  version: '1.0',
  methods: {
    greet: { params: z.object({ name: z.string(), polite: z.boolean().default(true) }), result: z.string() },
  },
});

const transport = await connect(process.argv[2] ?? 'memory://');

await contractServer(transport, Greeter, {
  server: 'host1',
  methods: {
    greet: (_context, { name, polite }) => (polite ? `Good day, ${name}.` : `Hi ${name}!`),
  },
}).start();

const greeter = contractClient(transport, Greeter);
console.log(await greeter.call({}, 'greet', { name: 'Ada' }));
// #endregion greeter

// #region wrong
// @ts-expect-error: the name is a text
const refused = await greeter.call({}, 'greet', { name: 7 }).catch((error) => error);
console.log(refused.code, refused.message);
// #endregion wrong

await transport.close();
// #endregion program
