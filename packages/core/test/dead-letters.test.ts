import { expect } from 'chai';
import {
  attemptsOf,
  concurrent,
  DeadLetters,
  type Delivery,
  type JobEnd,
  memory,
  newId,
  originOf,
  Redelivery,
  Server,
  Transport,
} from '../src/index.ts';
import { rejection, text } from './support.ts';

describe('dead letters', () => {
  const exchange = 'metering';
  let transport: Transport;
  let group: string;
  /** What to do with the next delivery. */
  let end: JobEnd;
  let seen: Delivery[];
  let waiting: { readonly count: number; readonly resolve: () => void } | undefined;

  beforeEach(async () => {
    transport = await Transport.open((context) => memory(context));
    group = newId();
    end = 'accept';
    seen = [];
  });

  afterEach(() => transport.close());

  const deliveries = async (count: number): Promise<readonly Delivery[]> => {
    if (seen.length < count)
      await new Promise<void>((resolve) => {
        waiting = { count, resolve };
      });
    return seen;
  };

  const serve = async (limit = 1): Promise<Server> => {
    const home = { kind: 'group', name: group } as const;
    const server = new Server(transport, {
      name: 'a worker',
      lanes: [
        {
          sources: [{ kind: 'topic', exchange, pattern: '#' }],
          options: { group },
          redelivery: new Redelivery(transport, home, { limit, minDelayMs: 1 }),
        },
      ],
      executor: concurrent(1),
      settle: 'after',
      prefetch: 1,
      open: (delivery) => ({
        id: undefined,
        name: 'a job',
        run: async () => {
          seen.push(delivery);
          if (waiting !== undefined && seen.length >= waiting.count) waiting.resolve();
          return end;
        },
      }),
    });
    await server.start();
    return server;
  };

  const publish = (id: string): Promise<void> =>
    transport.send({ kind: 'topic', exchange, key: 'cpu.usage' }, text(id, { messageId: id }), { confirm: true });

  /** Messages whose work failed for good. */
  const bury = async (...ids: readonly string[]): Promise<void> => {
    end = { outcome: 'reject', reason: new Error('no such meter') };
    const server = await serve();
    for (const id of ids) await publish(id);
    await deliveries(ids.length);
    await server.close();
    seen = [];
    end = 'accept';
  };

  it('tell why they are dead, how often they were tried, and where they were sent', async () => {
    await bury('a', 'b');
    const letters = await new DeadLetters(transport, group).list();
    expect(letters.map(({ id }) => id)).to.deep.equal(['a', 'b']);
    expect(letters[0]).to.include({ reason: 'no such meter', attempts: 1, origin: 'topic metering/cpu.usage' });
    expect(letters[0]?.home).to.deep.equal({ kind: 'group', name: group });
  });

  it('stay where they are when they are listed', async () => {
    await bury('a');
    const letters = new DeadLetters(transport, group);
    await letters.list();
    expect(await letters.list()).to.have.lengthOf(1);
  });

  it('are listed up to the limit', async () => {
    await bury('a', 'b', 'c');
    const letters = await new DeadLetters(transport, group, { limit: 2 }).list();
    expect(letters.map(({ id }) => id)).to.deep.equal(['a', 'b']);
  });

  it('are none where nothing failed', async () => {
    expect(await new DeadLetters(transport, group).list()).to.deep.equal([]);
  });

  it('go back to their group, as new, with the exchange and key they came with', async () => {
    await bury('a');
    await serve();
    const letters = new DeadLetters(transport, group);
    expect(await letters.redrive()).to.deep.equal(['a']);
    const [delivery] = await deliveries(1);
    expect(delivery?.to.kind).to.equal('group');
    expect(delivery && originOf(delivery)).to.deep.equal({ kind: 'topic', exchange, key: 'cpu.usage' });
    expect(delivery && attemptsOf(delivery)).to.equal(0);
    expect(delivery?.message.headers).to.not.have.any.keys('ph-dead-reason', 'ph-home', 'ph-attempts');
    expect(await letters.list()).to.deep.equal([]);
  });

  it('go back one by one, by their ids', async () => {
    await bury('a', 'b', 'c');
    const letters = new DeadLetters(transport, group);
    expect(await letters.redrive(['b', 'unknown'])).to.deep.equal(['b']);
    expect((await letters.list()).map(({ id }) => id)).to.deep.equal(['a', 'c']);
  });

  it('tell of each that went, where a later one is refused, which stays with those after it', async () => {
    await bury('a', 'b');
    const to = { kind: 'group', name: `${group}.dead` } as const;
    for (const id of ['lost', 'after'])
      await transport.send(to, text(id, { messageId: id, headers: { 'ph-home': 'mailbox gone' } }), { confirm: true });
    await serve();
    const gone: unknown[] = [];
    const letters = new DeadLetters(transport, group);
    const refused = await rejection(letters.redrive(undefined, (id) => gone.push(id)));
    expect(refused).to.have.property('code', 'UNROUTABLE');
    expect(gone).to.deep.equal(['a', 'b']);
    expect((await letters.list()).map(({ id }) => id)).to.deep.equal(['lost', 'after']);
  });

  it('stay when their group does not exist any more', async () => {
    const home = { kind: 'mailbox', name: 'gone' } as const;
    const to = { kind: 'group', name: `${home.name}.dead` } as const;
    const headers = { 'ph-home': 'mailbox gone' };
    await transport.send(to, text('x', { messageId: 'x', headers }), { confirm: true, unrouted: 'keep' });
    const letters = new DeadLetters(transport, home.name);
    expect((await letters.list())[0]?.home).to.deep.equal(home);
    expect(await rejection(letters.redrive())).to.have.property('code', 'UNROUTABLE');
    expect(await letters.list()).to.have.lengthOf(1);
  });

  it('keep the exchange and key that the broker told, whatever the sender wrote', async () => {
    end = { outcome: 'release', reason: 'not now' };
    await serve(3);
    const headers = { 'ph-exchange': 'forged', 'ph-key': 'forged' };
    await transport.send({ kind: 'topic', exchange, key: 'real' }, text('x', { headers }), { confirm: true });
    const [first, second] = await deliveries(2);
    for (const delivery of [first, second])
      expect(delivery && originOf(delivery)).to.deep.equal({ kind: 'topic', exchange, key: 'real' });
    expect(second && attemptsOf(second)).to.equal(1);
  });
});
