import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { newId, type Transport } from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { type Place, places } from '../src/places.ts';
import { type Ended, posthorn, records } from '../src/posthorn-command.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { waitFor } from '../src/wait-for.ts';

const controllers = fileURLToPath(new URL('./programs/world-services.ts', import.meta.url));
const SIGNS = ['same', 'missing', 'made', 'unknown', 'clash', 'planned', 'refused'] as const;

function states(ended: Ended): Readonly<Record<string, number>> {
  const found = records(ended).map(({ state }) => String(state));
  return Object.fromEntries(
    SIGNS.map((sign) => [sign, found.filter((one) => one === sign).length]).filter(([, count]) => count !== 0),
  );
}

function apiArgs({ management }: Place): readonly string[] {
  if (management === undefined) throw new Error('no management API');
  const url = new URL(management.api.url);
  url.username = url.password = 'guest';
  return ['--api', url.href];
}

describe('posthorn topology', function () {
  this.timeout(60_000);
  const folder = makeTempFolder('topology');

  for (const { name, open } of places().filter(({ name }) => name.startsWith('RabbitMQ')))
    describe(`over ${name}`, () => {
      const isAmqp1 = name.endsWith('AMQP 1.0');
      let place: Place;
      let id: string;

      before(async function () {
        place = await open(this);
      });

      beforeEach(() => {
        id = newId().slice(0, 12);
      });

      after(async () => {
        await place?.[Symbol.asyncDispose]();
      });

      const run = (verb: string, file: string, ...more: readonly string[]): Promise<Ended> =>
        posthorn(['topology', verb, place.url, file, '--json', ...more]);

      const written = async (content: unknown): Promise<string> => {
        const file = join(folder, `${newId()}.json`);
        await writeFile(file, JSON.stringify(content));
        return file;
      };

      it('plans without making anything, makes what is missing, and then finds it the same', async () => {
        const file = await written({ subscribers: [{ exchange: id, bindings: ['a.#', 'b'], group: id }] });
        const planned = await run('plan', file);
        expect(planned.end, planned.text).to.equal('code 0');
        const all = records(planned).length;
        expect(states(planned)).to.deep.equal({ planned: all });
        expect(records(planned).map(({ name: one }) => one)).to.include.members([id, `${id}.dead`]);

        const before = states(await run('diff', file));
        expect(before).to.not.have.property('same');
        expect(before['missing']).to.be.greaterThan(1);
        const applied = await run('apply', file);
        expect(applied.end, applied.text).to.equal('code 0');
        expect(states(applied)).to.deep.equal({ made: all });
        expect(states(await run('diff', file)))
          .to.have.property('same')
          .that.is.greaterThan(1);
        expect(states(await run('diff', file, ...apiArgs(place)))).to.deep.equal({ same: all });
      });

      it('makes all that an application needs that declares nothing itself', async () => {
        const file = await written({
          servers: [{ topic: id, server: 'one', exchange: id }],
          notifiers: [{ topics: [id], exchange: id }],
          listeners: [
            { targets: [{ topic: id, exchange: id }], pool: `${id}-pool`, retry: { limit: 2, minDelayMs: 10 } },
          ],
          publishers: [{ exchange: `${id}-messages` }],
          subscribers: [{ exchange: `${id}-messages`, bindings: '#', group: `${id}-group` }],
        });
        expect((await run('apply', file)).end).to.equal('code 0');
        await using transport = await connectQuietly(`${place.url}?declare=none`);
        const target = { topic: id, exchange: id };
        const server = { ...target, server: 'one' };
        await new RPCServer(transport, {
          target: server,
          endpoints: [{ echo: (_: unknown, args: object) => args }],
        }).start();
        expect(await new RPCClient(transport, { target }).call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
        expect(await new RPCClient(transport, { target: server }).call({}, 'echo', { b: 2 })).to.deep.equal({ b: 2 });

        let attempts = 0;
        const notified: unknown[] = [];
        const listener = new NotificationListener(transport, {
          targets: [target],
          pool: `${id}-pool`,
          retry: { limit: 2, minDelayMs: 10 },
          endpoints: [
            {
              info: ({ payload }) => {
                if (attempts++ === 0) throw new Error('once');
                notified.push(payload);
              },
            },
          ],
        });
        await listener.start();
        const notifier = new Notifier(transport, { publisherId: 'test', exchange: id, topics: [id] });
        await notifier.info({}, 'x', 'again');
        await waitFor('the second attempt', () => notified.length === 1);
        expect(notified).to.deep.equal(['again']);

        const got: unknown[] = [];
        const subscriber = new Subscriber(transport, { exchange: `${id}-messages`, group: `${id}-group` });
        await subscriber.bind('#', (payload) => void got.push(payload)).start();
        const publisher = new Publisher(transport, { exchange: `${id}-messages`, publisherId: 'test' });
        const { status } = await publisher.publish({ messageType: 'k', version: '1.0', payload: { n: 1 } });
        expect(status).to.equal('confirmed');
        await waitFor('the message', () => got.length === 1);
      });

      it('finds a clash, tells what differs, leaves it as it is, and fails', async () => {
        const plain = await written({ subscribers: [{ exchange: id, bindings: ['#'], group: id }] });
        const short = { exchange: id, bindings: ['#'], group: id, retention: { maxLength: 7 } };
        const other = await written({ subscribers: [short] });
        await run('apply', plain);
        for (const [verb, ...more] of [['diff'], ['diff', ...apiArgs(place)], ['apply']]) {
          const ended = await run(verb ?? '', other, ...more);
          expect(ended.end, ended.text).to.equal('code 1');
          const clash = records(ended).find(({ state }) => state === 'clash');
          expect(clash).to.deep.include({ kind: 'queue', name: id });
          expect(String(clash?.['reason'])).to.include('max-length').and.to.include('7');
        }
        expect((await run('diff', plain, ...apiArgs(place))).end).to.equal('code 0');
      });

      it('tells by the management API what is not bound, and of the wrong type', async () => {
        if (place.management === undefined) throw new Error('no management API');
        const { api, vhost } = place.management;
        const file = await written({ subscribers: [{ exchange: id, bindings: ['#'], group: id }] });
        await run('apply', file);
        await api.deleteExchange(id, vhost);
        const ended = await run('diff', file, ...apiArgs(place));
        const missing = records(ended).filter(({ state }) => state === 'missing');
        expect(missing.map(({ kind }) => kind)).to.deep.equal(['exchange', 'binding']);

        const quorum = { exchange: id, bindings: ['#'], group: id, retention: { durability: 'quorum' } };
        const wrongType = await run('diff', await written({ subscribers: [quorum] }), ...apiArgs(place));
        expect(wrongType.end).to.equal('code 1');
        const clash = records(wrongType).find(({ state }) => state === 'clash');
        expect(clash?.['reason']).to.include('x-queue-type: wanted quorum, is classic');
      });

      if (!isAmqp1) {
        it('warns of a quorum queue that was made without a delivery limit', async () => {
          const admin: Transport = await connectQuietly(place.url);
          try {
            const [queue] = admin.plan([{ kind: 'group', name: id }], { retention: { durability: 'quorum' } });
            if (queue?.kind !== 'queue') throw new Error('no queue in the plan');
            await admin.declare({ ...queue, arguments: { 'x-queue-type': 'quorum' } }, 'create');
          } finally {
            await admin.close();
          }
          const quorum = { exchange: id, bindings: ['#'], group: id, retention: { durability: 'quorum' } };
          const ended = await run('diff', await written({ subscribers: [quorum] }), ...apiArgs(place));
          const found = records(ended).find(({ kind, name: one }) => kind === 'queue' && one === id);
          expect(JSON.stringify(found?.['hazards'])).to.include('no x-delivery-limit');
        });

        it('prints a table for people, without colours where there is no terminal', async () => {
          const file = await written({ servers: [{ topic: id, server: 'one' }] });
          const { lines } = await posthorn(['topology', 'plan', place.url, file]);
          expect(lines[0]).to.match(/^ +kind +name +with +for$/);
          expect(lines.join('\n')).to.include(`posthorn/${id}/one`).and.to.include('unused for 30 min');
          expect(lines.join('\n')).to.not.include('\u001b');
          expect(lines.at(-1)).to.match(/^plan: \d+ planned, 1 hazard$/);
        });
      }
    });

  it('names the entry of the file that is wrong, as JSON where that is asked for', async () => {
    const file = join(folder, 'topology.yaml');
    await writeFile(file, 'subscribers:\n  - exchange: metering\n    bindings: []\n');
    const { end, text } = await posthorn(['topology', 'plan', 'memory://', file, '--json']);
    expect(end).to.equal('code 1');
    expect(JSON.parse(text).error).to.have.property('code', 'CONFIG');
    expect(JSON.parse(text).error.message).to.include('subscribers.0.bindings');
  });

  it('plans the queues of services by their own files', async () => {
    await writeFile(join(folder, 'services.ds'), '[test_hello]\nexchange=test_exchange\nnotifications=told\n');
    const service = { name: 'test_hello', controller: `${controllers}#HelloController`, discovery: 'services.ds' };
    const config = { url: 'memory://', exchange: 'test_exchange', services: [service] };
    await writeFile(join(folder, 'services.json'), JSON.stringify(config));
    const file = join(folder, 'with-services.yaml');
    await writeFile(file, 'services: services.json\n');
    const ended = await posthorn(['topology', 'plan', 'memory://', file, '--json']);
    expect(ended.end, ended.text).to.equal('code 0');
    const queues = records(ended).filter(({ kind }) => kind === 'queue');
    const own = 'group test_exchange/test_hello';
    expect(queues.map(({ name }) => name)).to.include.members([own, `${own}.answers`, `${own}.dead`]);
  });

  it('says that a broker in memory keeps nothing to compare with', async () => {
    const file = join(folder, 'topology.yaml');
    await writeFile(file, 'publishers: [{ exchange: metering }]\nmailboxes: [{ name: m }]\n');
    expect((await posthorn(['topology', 'plan', 'memory://', file])).end).to.equal('code 0');
    const { end, text } = await posthorn(['topology', 'diff', 'memory://', file]);
    expect(end).to.equal('code 1');
    expect(text).to.include('UNSUPPORTED');
  });
});
