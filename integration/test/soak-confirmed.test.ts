import { serveBroker } from '@posthorn/amqp1';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { confirmThroughLosses } from '../src/confirmed-through-losses.ts';
import { isSkip, rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { needOwnRabbit, type OwnRabbit } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { SOAKING, times } from '../src/soak.ts';
import { openVhost } from '../src/vhost.ts';

const TITLE = 'none is lost, and no duplicate is unexplained';

describe('confirmed messages', function () {
  this.timeout(SOAKING ? 300_000 : 120_000);

  describe('through restarts of RabbitMQ', () => {
    let broker: OwnRabbit;

    before(async function () {
      this.timeout(90_000);
      broker = await needOwnRabbit(this);
    });

    const [messages, kills] = [10_000, 20];
    for (const [protocol, urlOf] of [
      ['rabbit://', rabbitUrl],
      ['amqp1://', amqp1Url],
    ] as const)
      it(`${messages} on ${protocol} outlast two restarts of the broker and ${kills} lost connections: ${TITLE}`, async () => {
        const restart = (): Promise<void> => broker.restart();
        const url = (port: number): string => urlOf(broker, { port });
        const name = await confirmThroughLosses(`through restarts, ${protocol}`, {
          broker,
          url,
          messages,
          kills,
          restart,
        });
        await broker.api.deleteQueue(name);
      });
  });

  const [messages, kills] = [times(2_000, 10_000), times(10, 50)];
  const title = `${messages} on amqp1:// outlast ${kills} lost connections: ${TITLE}`;

  describe('through lost connections to posthorn broker', () => {
    it(title, async () => {
      await using broker = await serveBroker({ port: 0 });
      const { port } = broker;
      const url = (proxied: number): string => `amqp1://127.0.0.1:${proxied}`;
      await confirmThroughLosses('posthorn broker', { broker: { host: '127.0.0.1', port }, url, messages, kills });
    });
  });

  for (const { name, find } of rabbitVersions().filter((one) => one.name !== 'RabbitMQ'))
    describe(`through lost connections to ${name}`, () => {
      it(title, async function () {
        const broker = await find();
        if (isSkip(broker)) return skip(this, name, broker.skip);
        await using vhost = await openVhost(broker);
        const url = (port: number): string => amqp1Url(vhost, { port });
        await confirmThroughLosses(name, { broker: vhost, url, messages, kills });
      });
    });
});
