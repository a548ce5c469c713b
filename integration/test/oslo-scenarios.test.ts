import { MessagingError, newId, silent, type Transport, UnroutableError } from '@posthorn/core';
import { type OsloOptions, oslo } from '@posthorn/oslo';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';
import { waitFor } from '../src/wait-for.ts';

/** Who was told what, on either side. */
interface Told {
  readonly server: string;
  readonly kw: Readonly<Record<string, unknown>>;
}

/** A client of either language, as far as the scenarios go. */
interface AnyClient {
  readonly language: string;
  call(where: Where, method: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  cast(where: Where, method: string, args?: Readonly<Record<string, unknown>>): Promise<void>;
  fanout(where: Where, method: string, args?: Readonly<Record<string, unknown>>): Promise<void>;
}

interface Where {
  readonly exchange: string;
  readonly topic: string;
  readonly server?: string;
  readonly timeoutMs?: number;
}

class Endpoint {
  readonly told: Told[] = [];
  readonly #server: string;

  constructor(server: string) {
    this.#server = server;
  }

  note(_: object, kw: Readonly<Record<string, unknown>>): void {
    this.told.push({ server: this.#server, kw });
  }

  echo(ctxt: object, kw: object): object {
    return { ctxt, kw, server: this.#server };
  }

  slow(_: object, __: object, { signal }: { signal: AbortSignal }): Promise<void> {
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
  }
}

/** Python's own options for what ours are called. */
const CONFIGURATIONS: readonly {
  readonly name: string;
  readonly ours: OsloOptions;
  readonly theirs: Readonly<Record<string, boolean>>;
}[] = [
  { name: 'transient', ours: {}, theirs: {} },
  {
    name: 'durable',
    ours: { durability: 'durable' },
    theirs: { 'oslo_messaging_rabbit.amqp_durable_queues': true },
  },
  {
    name: 'quorum',
    ours: { durability: 'quorum' },
    theirs: { 'oslo_messaging_rabbit.rabbit_quorum_queue': true },
  },
];

for (const candidate of rabbitVersions()) {
  for (const { name, ours, theirs } of CONFIGURATIONS) {
    const title = `oslo's scenarios with servers of both languages and ${name} queues on ${candidate.name}`;

    describe(title, function () {
      this.timeout(30_000);
      let place: OsloPlace;
      let transport: Transport;
      let python: OsloClient;
      let pythonServers: readonly OsloServer[];
      const nodeEndpoints = ['node-1', 'node-2'].map((server) => ({ server, endpoint: new Endpoint(server) }));
      const exchange = (prefix = ''): string => `${prefix}${place.exchange}`;
      // Queues are named by topic and server alone, so that a topic belongs to one exchange.
      const topicOf = (prefix: string): string => `${prefix}${place.topic}`;
      const servers = ['node-1', 'node-2', 'python'];

      before(async function () {
        place = await openOsloPlace(this, title, candidate);
        const { url, topic } = place;
        const options = { url, options: theirs };
        [transport, python, ...pythonServers] = await Promise.all([
          connect(url, { wire: oslo(ours), logger: silent }),
          OsloClient.start({ ...options, exchange: exchange() }),
          OsloServer.start({ ...options, exchange: exchange(), topic, server: 'python' }),
          OsloServer.start({ ...options, exchange: exchange('a-'), topic: topicOf('a-'), server: 'python' }),
        ]);
        for (const { server, endpoint } of nodeEndpoints)
          await serve({ exchange: exchange(), topic: place.topic }, server, endpoint);
      });

      after(async () => {
        await Promise.all([python, ...(pythonServers ?? [])].map((peer) => peer?.[Symbol.asyncDispose]()));
        await transport?.close({ timeoutMs: 100 });
        await place?.vhost[Symbol.asyncDispose]();
      });

      const serve = (where: Where, server: string, endpoint: object): Promise<unknown> =>
        new RPCServer(transport, { target: { ...where, server }, endpoints: [endpoint] }).start();

      const told = (mark: string): Told[] =>
        [
          ...nodeEndpoints.flatMap(({ endpoint }) => endpoint.told),
          ...pythonServers.flatMap(({ notes }) => notes),
        ].filter(({ kw }) => kw['mark'] === mark);

      const clients: readonly AnyClient[] = [
        {
          language: 'Node',
          call: (where, method, args = {}) =>
            new RPCClient(transport, { target: where, timeoutMs: 10_000, ...where }).call({}, method, args),
          cast: (where, method, args = {}) => new RPCClient(transport, { target: where }).cast({}, method, args),
          fanout: (where, method, args = {}) => new RPCClient(transport, { target: where }).fanout({}, method, args),
        },
        {
          language: 'Python',
          call: ({ timeoutMs = 10_000, ...where }, method, args = {}) =>
            python.call({ ...where, method, args, timeout: timeoutMs / 1_000 }),
          cast: (where, method, args = {}) => python.cast({ ...where, method, args }),
          fanout: (where, method, args = {}) => python.fanout({ ...where, method, args }),
        },
      ];

      const serverOf = (answer: unknown): string => (answer as { readonly server: string }).server;
      const isTimeout = (error: unknown): boolean =>
        error instanceof OsloError
          ? error.class === 'MessagingTimeout'
          : error instanceof MessagingError && error.code === 'TIMEOUT';

      for (const client of clients) {
        describe(`with a ${client.language} client`, () => {
          it('a call to a specific server reaches that one and no other', async () => {
            for (const server of servers) {
              const where = { exchange: exchange(), topic: place.topic, server };
              const answers = await Promise.all([1, 2, 3].map(() => client.call(where, 'echo')));
              expect(answers.map(serverOf)).to.deep.equal([server, server, server]);
            }
          });

          it('calls to a group reach every server, and each is answered once', async () => {
            const where = { exchange: exchange(), topic: place.topic };
            const answers: unknown[] = [];
            for (let n = 0; n < 14; n++) answers.push(await client.call(where, 'echo', { n }));
            expect(answers.map((answer) => (answer as { kw: { n: number } }).kw.n)).to.deep.equal(
              answers.map((_, n) => n),
            );
            expect([...new Set(answers.map(serverOf))]).to.have.members(servers);
          });

          it('casts to a specific server reach that one and no other', async () => {
            for (const server of servers) {
              const mark = newId();
              const where = { exchange: exchange(), topic: place.topic };
              for (let n = 0; n < 5; n++) await client.cast({ ...where, server }, 'note', { mark, n });
              const notes = await waitFor('the notes', () => told(mark).length >= 5 && told(mark));
              expect(notes.map((note) => note.server)).to.deep.equal(Array.from({ length: 5 }, () => server));
            }
          });

          it('twenty casts to a group are shared by all its servers, none lost and none doubled', async () => {
            const mark = newId();
            const where = { exchange: exchange(), topic: place.topic };
            for (let n = 0; n < 20; n++) await client.cast(where, 'note', { mark, n });
            const notes = await waitFor('the notes', () => told(mark).length >= 20 && told(mark));
            expect(notes.map(({ kw }) => kw['n'])).to.have.members(Array.from({ length: 20 }, (_, n) => n));
            expect([...new Set(notes.map(({ server }) => server))]).to.have.members(servers);
          });

          it('a fanout reaches every server once', async () => {
            const mark = newId();
            const topic = newId();
            const endpoints = ['node-1', 'node-2'].map((server) => ({ server, endpoint: new Endpoint(server) }));
            for (const { server, endpoint } of endpoints) {
              await serve({ exchange: exchange(), topic }, server, endpoint);
            }
            const { url } = place;
            await using peer = await OsloServer.start({
              url,
              exchange: exchange(),
              topic,
              server: 'python',
              options: theirs,
            });
            await client.fanout({ exchange: exchange(), topic }, 'note', { mark });
            const all = (): Told[] => [...endpoints.flatMap(({ endpoint }) => endpoint.told), ...peer.notes];
            await waitFor('the notes', () => all().length >= 3);
            expect(all().map(({ server }) => server)).to.have.members(servers);
          });

          it('groups in different exchanges get their own traffic alone', async () => {
            const prefix = `b-${client.language}-`;
            const endpoint = new Endpoint('b');
            const a = { exchange: exchange('a-'), topic: topicOf('a-') };
            const b = { exchange: exchange(prefix), topic: topicOf(prefix) };
            await serve(b, 'b', endpoint);
            const mark = newId();
            for (const where of [a, b, { ...a, server: 'python' }, { ...b, server: 'b' }]) {
              const answers = await Promise.all([1, 2, 3].map(() => client.call(where, 'echo')));
              const server = where.topic === a.topic ? 'python' : 'b';
              expect(answers.map(serverOf)).to.deep.equal([server, server, server]);
              await client.cast(where, 'note', { mark });
            }
            const notes = await waitFor('the notes', () => {
              const all = [...told(mark), ...endpoint.told];
              return all.length >= 4 && all;
            });
            expect(notes.map(({ server }) => server)).to.have.members(['python', 'python', 'b', 'b']);
            // Node is told, Python waits.
            const timeoutMs = client.language === 'Node' ? 10_000 : 300;
            const astray = client.call({ exchange: a.exchange, topic: b.topic, timeoutMs }, 'echo');
            expect(await rejection(astray)).to.be.instanceOf(client.language === 'Node' ? UnroutableError : OsloError);
          });

          it('a call that times out does not end its neighbours', async () => {
            const { topic } = place;
            const where = { exchange: exchange(), topic };
            const slow = rejection(
              client.call({ ...where, server: 'node-1', timeoutMs: 1_000 }, 'slow', { seconds: 10 }),
            );
            const quick = Array.from({ length: 10 }, (_, n) => client.call(where, 'echo', { n }));
            expect(await Promise.all(quick)).to.have.length(10);
            expect(await slow).to.satisfy(isTimeout);
          });
        });
      }
    });
  }
}
