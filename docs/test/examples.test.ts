import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runProgram } from '../../integration/src/echo-example.ts';
import { places } from '../../integration/src/places.ts';
import { waitFor } from '../../integration/src/wait-for.ts';

/** What each program prints, in whatever order. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  'quick-start': ['i-1 rebooted'],
  'readme-notifications': ["stored instance.create.end { id: 'i-1' }"],
  'readme-messages': ['confirmed', 'stored cpu 17 compute.host1'],
  'readme-services': ['the world got 1'],
  'readme-python': ['true no such instance'],
  rpc: [
    'img-1 removed',
    'img-2 removed',
    'img-2 removed',
    'not found: no image "minix"',
    'host1: 40 GB free',
    'host2: 60 GB free',
    '50 %',
    '100 %',
    'sha256:e3b0',
    'the servers are not upgraded yet',
    ...['read took no time', 'rotate took no time', 'read took no time'],
    ...['secret', 'NO_SUCH_METHOD', 'true'],
  ],
  notifications: [
    'warning: disk.low { free: 3 }',
    'instance.create.end of compute.host1',
    "billed at attempt 3 { id: 'i-1' }",
    'a batch of 2',
    "job.created { id: 'j-1' }",
    'log: disk.ok',
  ],
  retries: [
    ...['attempt 1', 'attempt 2', 'attempt 3'],
    'topic shop/order.placed: the payment service is down (3 attempts)',
    ...['attempt 1', 'charged o-1'],
  ],
  idempotency: ["reserved for { order: 'o-1' }", 'confirmed', 'receipt for 10', 'receipt for 10'],
  outbox: ['1 0', "mail about { id: 'o-1' }"],
  cluster: ['connected', 'closed'],
  security: ['metered { volume: 17 }', 'refused 1'],
  operating: ['connection: connected', "{ state: 'healthy', reconnects: 0 }", 'connection: closed'],
  'memory-driver': ['paid', 'UNROUTABLE', 'UNKNOWN'],
  rabbitmq: ['sent'],
  'coming-from-oslo': ['ping', "compute.host1 compute.instance.create.end { instance_id: 'i-1' }"],
  'coming-from-nestjs': ['6', 'welcome, alice'],
  'coming-from-amqplib': ["amqplib: { image: 'i-1' }", "posthorn: { image: 'i-1' }", 'confirmed'],
};

/** Those that are about one transport. */
const ONLY: Readonly<Record<string, string>> = { 'coming-from-amqplib': 'RabbitMQ', 'memory-driver': 'memory' };

for (const place of places().filter(({ name }) => name === 'memory' || name === 'RabbitMQ'))
  describe(`the examples of the pages, over ${place.name}`, function () {
    this.timeout(60_000);

    for (const [name, says] of Object.entries(PROGRAMS)) {
      if ((ONLY[name] ?? place.name) !== place.name) continue;
      it(`${name} prints what its page says`, async function () {
        await using found = await place.open(this);
        const url = name === 'coming-from-amqplib' ? found.url.replace('rabbit:', 'amqp:') : found.url;
        const example = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));
        const { lines, process } = await runProgram([example], [url]);
        try {
          // In memory there is nothing left to wait for when all is done: the program ends by itself.
          if (place.name === 'memory') expect(await process.wait(), process.tail.join('\n')).to.equal('code 0');
          else await waitFor('all lines', () => lines.length >= says.length || process.ended, 20_000);
          expect(lines.toSorted(), process.tail.join('\n')).to.deep.equal(says.toSorted());
        } finally {
          await process.stop();
        }
      });
    }
  });
