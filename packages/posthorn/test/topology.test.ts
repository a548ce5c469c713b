import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, type Declaration, type Driver, memory, newId, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { readTopologyFile, type TopologyFile } from '../src/cli/topology-file.ts';
import { hazardsOf } from '../src/cli/topology-hazards.ts';
import { planOf } from '../src/cli/topology-plan.ts';

const EMPTY: TopologyFile = {
  servers: [],
  notifiers: [],
  listeners: [],
  publishers: [],
  subscribers: [],
  mailboxes: [],
  services: [],
};

const queue = (args: Readonly<Record<string, string | number>>, durable = true): Declaration => ({
  kind: 'queue',
  name: 'q',
  durable,
  exclusive: false,
  autoDelete: false,
  arguments: args,
});

describe('a topology file', () => {
  let folder: string;
  let file: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'posthorn-topology-'));
    file = join(folder, 'topology.yaml');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('may leave out every part, and say a single name for a list', async () => {
    await writeFile(file, 'subscribers: [{ exchange: e, bindings: "#", group: g }]\nservices: s.yaml\n');
    const read = await readTopologyFile(file);
    const subscribers = [{ exchange: ['e'], bindings: ['#'], group: 'g' }];
    expect(read).to.deep.equal({ ...EMPTY, subscribers, services: [join(folder, 's.yaml')] });
  });

  for (const [what, text, path] of [
    ['an unknown part', 'queues: []', 'queues'],
    ['a subscriber without an exchange', 'subscribers: [{ bindings: "#" }]', 'subscribers.0.exchange'],
    ['an unknown priority', 'notifiers: [{ priorities: [loud] }]', 'notifiers.0.priorities.0'],
    ['an empty file', '{}', 'says nothing'],
    ['no YAML', '{', 'topology.yaml'],
  ] as const)
    it(`is refused with ${what}, by its place`, async () => {
      await writeFile(file, text);
      const error: unknown = await readTopologyFile(file).catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(ConfigError);
      expect(String(error)).to.include(path);
    });
});

describe('a plan', () => {
  let transport: Transport;
  const plan = async (file: Partial<TopologyFile>): Promise<readonly string[]> => {
    const planned = await planOf(transport, { ...EMPTY, ...file });
    return planned.map(({ declaration: one }) =>
      one.kind === 'binding' ? `${one.exchange} [${one.key}] → ${one.queue}` : one.name,
    );
  };

  afterEach(() => transport.close());

  describe('of a broker in memory', () => {
    let sent: number;

    beforeEach(async () => {
      sent = 0;
      transport = await Transport.open(async (context): Promise<Driver> => {
        const driver = await memory(context, { name: newId() });
        const { send, subscribe } = driver;
        return Object.assign(driver, {
          send: (...args: Parameters<typeof send>) => {
            sent++;
            return send.apply(driver, args);
          },
          subscribe: (...args: Parameters<typeof subscribe>) => {
            sent++;
            return subscribe.apply(driver, args);
          },
        });
      });
    });

    it('has what a server subscribes to', async () => {
      const names = await plan({ servers: [{ topic: 't', server: ['a', 'b'], exchange: 'e' }] });
      expect(names).to.include.members(['anycast e/t', 'unicast e/t@a', 'unicast e/t@b']);
    });

    it('has the groups of listeners, where notifications are kept, and dead letters', async () => {
      const target = { topic: 'n', exchange: 'e' };
      const names = await plan({
        listeners: [{ targets: [target], priorities: ['info'], pool: 'p' }],
        notifiers: [{ topics: ['n'], exchange: 'e', priorities: ['info'] }],
      });
      expect(names).to.include.members(['group e/n.info', 'group p', 'topic e [n.info] → group p', 'group p.dead']);
    });

    it('has the mailboxes and groups of subscribers', async () => {
      const names = await plan({
        subscribers: [{ exchange: ['e', 'f'], bindings: ['a', 'b'], group: 'g' }],
        mailboxes: [{ name: 'm' }],
      });
      expect(names).to.include.members(['topic e [a] → group g', 'topic f [b] → group g', 'group g.dead', 'mailbox m']);
    });

    it('sends nothing and subscribes to nothing', async () => {
      await plan({
        servers: [{ topic: 't', server: ['a'] }],
        notifiers: [{}],
        subscribers: [{ exchange: ['e'], bindings: ['#'], group: 'g' }],
        publishers: [{ exchange: 'e' }],
      });
      expect(sent).to.equal(0);
    });
  });
});

describe('hazards', () => {
  const texts = (declaration: Declaration, version?: string): string => hazardsOf(declaration, version).join('\n');

  it('are quorum queues without a delivery limit, or with a low one', () => {
    expect(texts(queue({ 'x-queue-type': 'quorum' }))).to.include('20 times');
    expect(texts(queue({ 'x-queue-type': 'quorum', 'x-delivery-limit': 5 }))).to.include('5 times');
    expect(texts(queue({ 'x-queue-type': 'quorum', 'x-delivery-limit': 1_000_000 }))).to.equal('');
  });

  it('are queues that are neither durable nor exclusive, the more so from RabbitMQ 4.3 on', () => {
    expect(texts(queue({}, false), '4.2.1')).to.include('from 4.3 on');
    expect(texts(queue({}, false), '4.3.0')).to.include('RabbitMQ 4.3.0 refuses');
    expect(texts(queue({}, false), '5.0.0')).to.include('RabbitMQ 5.0.0 refuses');
  });

  it('are queues that expire', () => {
    expect(texts(queue({ 'x-expires': 1_800_000 }))).to.include('30 min');
    expect(texts(queue({ 'x-expires': 86_400_000 }))).to.include('24 h');
  });

  it('are told of the queue that is there, where it is known', () => {
    const found = { durable: true, exclusive: false, auto_delete: false, arguments: { 'x-queue-type': 'quorum' } };
    expect(hazardsOf(queue({}), '4.0.5', found).join()).to.include('20 times');
  });

  it('are none of plain queues, nor of private ones', () => {
    expect(texts(queue({}), '4.3.6')).to.equal('');
    const own = { ...queue({ 'x-expires': 1 }, false), exclusive: true } as Declaration;
    expect(texts(own, '4.3.6')).to.equal('');
  });
});
