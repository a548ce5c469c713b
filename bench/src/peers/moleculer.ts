/** The process of a moleculer peer on RabbitMQ, as its documentation has it. */
import { obey } from '../peer.ts';
import { rival } from '../rivals/installed.ts';
import { ARGS, type Args, METHOD, reboot, TIMEOUT_MS } from '../work.ts';

interface ServiceBroker {
  createService(schema: object): void;
  start(): Promise<void>;
  stop(): Promise<void>;
  waitForServices(name: string): Promise<unknown>;
  call(action: string, params: object): Promise<unknown>;
}

obey(async ({ role, url, topic, untuned }) => {
  const { ServiceBroker } = await rival<{ readonly ServiceBroker: new (options: object) => ServiceBroker }>(
    'moleculer',
  );
  const broker = new ServiceBroker({
    namespace: topic,
    nodeID: role,
    transporter: {
      type: 'AMQP',
      options: {
        url: url.replace(/^rabbit:/i, 'amqp:'),
        ...(untuned === 'defaults' ? {} : { socketOptions: { noDelay: true } }),
      },
    },
    requestTimeout: TIMEOUT_MS,
    logger: false,
  });
  if (role === 'server')
    broker.createService({ name: 'compute', actions: { [METHOD]: ({ params }: { params: Args }) => reboot(params) } });
  await broker.start();
  if (role !== 'server') await broker.waitForServices('compute');
  return { operate: () => broker.call(`compute.${METHOD}`, ARGS), close: () => broker.stop() };
});
