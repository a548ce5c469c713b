/** The process of a rabbitmq-client peer, as its documentation has it. */
import { obey } from '../peer.ts';
import { rival } from '../rivals/installed.ts';
import { ARGS, type Args, PREFETCH, reboot } from '../work.ts';

interface Closing {
  close(): Promise<void>;
}

interface Connection extends Closing {
  on(event: 'error', listener: (error: Error) => void): void;
  createConsumer(
    options: object,
    handle: (request: { readonly body: Args }, reply: (body: unknown) => Promise<void>) => Promise<void>,
  ): Closing & { on(event: 'ready', listener: () => void): void };
  createRPCClient(options: object): Closing & { send(queue: string, body: unknown): Promise<unknown> };
}

obey(async ({ role, url, topic, untuned }) => {
  const { Connection } = await rival<{ readonly Connection: new (options: object) => Connection }>('rabbitmq-client');
  const tuning = untuned === 'defaults' ? {} : { noDelay: true };
  const connection = new Connection({ url: url.replace(/^rabbit:/i, 'amqp:'), ...tuning });
  connection.on('error', (error) => console.error(error));
  if (role === 'server') {
    const options = { queue: topic, queueOptions: { durable: true }, qos: { prefetchCount: PREFETCH } };
    const consumer = connection.createConsumer(options, async ({ body }, reply) => await reply(reboot(body)));
    await new Promise<void>((resolve) => consumer.on('ready', resolve));
    return {
      close: async () => {
        await consumer.close();
        await connection.close();
      },
    };
  }
  const client = connection.createRPCClient({ confirm: false });
  return {
    operate: () => client.send(topic, ARGS),
    close: async () => {
      await client.close();
      await connection.close();
    },
  };
});
