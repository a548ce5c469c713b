import { type Context, type Message, newId } from '@posthorn/core';
import { BaseEndpoint, RPCClient, RPCServer, waitUntilReady } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { waitFor } from '../wait-for.ts';
import { type Deferred, deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import type { TransportHarness } from './transport-harness.ts';

const echo = { echo: (_context: Context, args: object) => args };

/** A method that waits until the test lets it go. */
function gated(): { readonly endpoint: object; readonly started: Promise<void>; readonly gate: Deferred<void> } {
  const started = deferred();
  const gate = deferred();
  const endpoint = {
    async wait() {
      started.resolve();
      await gate.promise;
      return 'waited';
    },
  };
  return { endpoint, started: started.promise, gate };
}

/** RPC as services use it: who talks to whom, through which queues, and what each side gets to know. */
export function describeServices(transport: TransportHarness): void {
  describe('services', () => {
    it('N-01: either side restarts while the other stays as it is', async () => {
      await using lab = new Lab(transport);
      const first = await lab.connect();
      await lab.serve(echo, { on: first });
      const client = await lab.client();
      expect(await client.call({}, 'echo', { n: 1 })).to.deep.equal({ n: 1 });
      await first.close();
      await lab.serve(echo, { on: await lab.connect() });
      expect(await client.call({}, 'echo', { n: 2 })).to.deep.equal({ n: 2 });
      await (await lab.calling()).close();
      const next = await lab.client({ on: await lab.connect() });
      expect(await next.call({}, 'echo', { n: 3 })).to.deep.equal({ n: 3 });
    });

    it('N-02: a cast resolves before its method has ended, and its method runs', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, gate } = gated();
      await lab.serve(endpoint);
      await (await lab.client()).cast({}, 'wait');
      await started;
      gate.resolve();
    });

    it('N-02: a process that only casts has no reply address', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, gate } = gated();
      await lab.serve(endpoint);
      const calling = await lab.calling();
      await new RPCClient(calling, { target: { topic: lab.topic } }).cast({}, 'wait');
      await started;
      gate.resolve();
      expect(calling.inbox.name).to.equal(undefined);
      await (await lab.client()).call({}, 'wait');
      expect(calling.inbox.name).to.be.a('string');
    });

    it('N-03: a call returns the value of its method', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ add: (_context: Context, { a, b }: { readonly a: number; readonly b: number }) => a + b });
      expect(await (await lab.client()).call({}, 'add', { a: 2, b: 3 })).to.equal(5);
    });

    it('N-03: a reply that comes after the caller gave up is dropped with a log line', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, gate } = gated();
      await lab.serve(endpoint);
      const giveUp = new AbortController();
      const calling = outcomeOf((await lab.client()).call({}, 'wait', {}, { signal: giveUp.signal }));
      await started;
      giveUp.abort(new Error('enough'));
      await calling;
      gate.resolve();
      await waitFor('the log line', () => lab.log.lines.some(({ message }) => message.includes('nobody waits for')));
    });

    it('N-04: casts wait in the queue for a server that is down', async () => {
      await using lab = new Lab(transport);
      await (await lab.serve(echo)).close();
      const client = await lab.client();
      await Promise.all(Array.from({ length: 100 }, (_, n) => client.cast({}, 'count', { n })));
      const seen: number[] = [];
      await lab.serve({ count: (_context: Context, { n }: { readonly n: number }) => void seen.push(n) });
      await waitFor('100 casts to be handled', () => seen.length >= 100);
      expect(new Set(seen).size).to.equal(100);
    });

    it('N-04: a cast to a topic that never had a server is dropped, or refused where the client asks for that', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      await client.cast({}, 'count');
      expect(await outcomeOf(client.prepare({ unrouted: 'fail' }).cast({}, 'count'))).to.equal('UNROUTABLE');
      let counted = 0;
      await lab.serve({ count: () => ++counted });
      expect(await client.call({}, 'count')).to.equal(1);
    });

    it('N-05: a caster is not told that its method failed, and the server logs it once', async () => {
      await using lab = new Lab(transport);
      await lab.serve({
        fail() {
          throw new Error('out of disk');
        },
      });
      const calling = await lab.calling();
      await new RPCClient(calling, { target: { topic: lab.topic } }).cast({}, 'fail');
      await waitFor('the error to be logged', () => lab.logged('error').length > 0);
      expect(lab.logged('error').map(({ message }) => message)).to.deep.equal(['fail failed: out of disk']);
      expect(calling.inbox.name).to.equal(undefined);
    });

    it('N-05: a cast that a layer of the server refuses resolves, and the refusal is logged once', async () => {
      await using lab = new Lab(transport);
      const ran: string[] = [];
      const refuse = () => async (): Promise<never> => {
        throw new Error('not allowed');
      };
      await lab.serve({ work: () => ran.push('work') }, { layers: [refuse] });
      await (await lab.client()).cast({}, 'work');
      await waitFor('the refusal to be logged', () => lab.logged('error').length > 0);
      expect(lab.logged('error')).to.have.length(1);
      expect(ran).to.deep.equal([]);
    });

    it('N-06: client and server are made of a transport and a target alone', async () => {
      await using lab = new Lab(transport);
      const serving = await lab.serving();
      const calling = await lab.calling();
      const { topic } = lab;
      await new RPCServer(serving, { target: { topic, server: 'one' }, endpoints: [echo] }).start();
      expect(await new RPCClient(calling, { target: { topic } }).call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
    });

    it('N-07: a server that has started is reached by its topic, by its name and by fanout', async () => {
      await using lab = new Lab(transport);
      const seen: unknown[] = [];
      await lab.serve(
        { note: (_context: Context, { by }: { readonly by: string }) => seen.push(by) },
        { server: 'host' },
      );
      const client = await lab.client();
      await client.call({}, 'note', { by: 'topic' });
      await client.prepare({ server: 'host' }).call({}, 'note', { by: 'name' });
      await client.fanout({}, 'note', { by: 'fanout' });
      await waitFor('the fanout', () => seen.length >= 3);
      expect(seen).to.deep.equal(['topic', 'name', 'fanout']);
    });

    it('N-08: 1,000 calls at once share one reply address, and each has a correlation id of its own', async () => {
      await using lab = new Lab(transport);
      const requests: Message[] = [];
      const serving = await lab.serving();
      const address = { kind: 'anycast', exchange: 'posthorn', topic: lab.topic } as const;
      await serving.subscribe([address], (delivery) => {
        const { message } = delivery;
        requests.push(message);
        void delivery.settle('accept');
        const { correlationId = '', replyTo = '' } = message;
        const body = Buffer.from(JSON.stringify(correlationId));
        void serving.send(
          { kind: 'reply', name: replyTo },
          { body, contentType: 'application/json', correlationId },
          { unrouted: 'fail' },
        );
      });
      const client = await lab.client();
      const results = await Promise.all(Array.from({ length: 1_000 }, () => client.call({}, 'anything')));
      expect(new Set(requests.map(({ replyTo }) => replyTo)).size).to.equal(1);
      expect(requests[0]?.replyTo).to.be.a('string').and.not.empty;
      expect(new Set(results).size).to.equal(1_000);
      expect([...results].sort()).to.deep.equal(requests.map(({ correlationId }) => correlationId).sort());
    });

    it('N-08: a server drops the reply to a caller that has vanished, and goes on serving', async () => {
      await using lab = new Lab(transport);
      const { endpoint, started, gate } = gated();
      await lab.serve([endpoint, echo]);
      const doomed = await lab.connect();
      const lost = outcomeOf((await lab.client({ on: doomed })).call({}, 'wait'));
      await started;
      await doomed.close();
      expect(await lost).to.equal('CLOSED');
      gate.resolve();
      expect(await (await lab.client()).call({}, 'echo', { n: 1 })).to.deep.equal({ n: 1 });
      expect(lab.logged('error')).to.be.empty;
    });

    it('N-09: one transport is the worker of some and the invoker of others', async () => {
      await using lab = new Lab(transport);
      const scheduler = `scheduler-${newId()}`;
      await lab.serve(
        { select: () => 'host2' },
        { target: { topic: scheduler, server: 's1' }, on: await lab.connect() },
      );
      const conductor = await lab.serving();
      const schedulers = new RPCClient(conductor, { target: { topic: scheduler } });
      await lab.serve({ build: async (context: Context) => `on ${await schedulers.call(context, 'select')}` });
      expect(await (await lab.client()).call({}, 'build')).to.equal('on host2');
    });

    it('N-10: a component serves its manager, the base endpoint and more, and its close lets running methods end', async () => {
      await using lab = new Lab(transport);
      const { endpoint: manager, started, gate } = gated();
      const extra = { target: { namespace: 'compute_task', version: '1.2' }, build: () => 'built' };
      const server = await lab.serve([manager, new BaseEndpoint('conductor'), extra]);
      const client = await lab.client();
      expect(await client.prepare({ namespace: 'compute_task', version: '1.1' }).call({}, 'build')).to.equal('built');
      const base = client.prepare({ namespace: 'baseapi', version: '1.1' });
      expect(await base.call({}, 'ping', { arg: 1 })).to.deep.equal({ service: 'conductor', arg: 1 });
      const waiting = client.call({}, 'wait');
      await started;
      const closing = server.close();
      gate.resolve();
      expect(await waiting).to.equal('waited');
      expect(await closing).to.deep.equal({ abandoned: [] });
    });

    it('N-11: the base endpoint of each server answers a ping by name', async () => {
      await using lab = new Lab(transport);
      for (const server of ['host1', 'host2']) await lab.serve(new BaseEndpoint(`compute on ${server}`), { server });
      const base = await lab.client({ target: { namespace: 'baseapi', version: '1.0' } });
      for (const server of ['host1', 'host2']) {
        const answer = await base.prepare({ server }).call({}, 'ping', { arg: server });
        expect(answer).to.deep.equal({ service: `compute on ${server}`, arg: server });
      }
    });

    it('N-11: every server answers the ping of oslo.messaging, unless it is switched off', async () => {
      await using lab = new Lab(transport);
      await lab.serve(echo, { server: 'on' });
      await lab.serve(echo, { server: 'off', ping: false });
      const client = await lab.client();
      expect(await client.prepare({ server: 'on' }).call({}, 'oslo_rpc_server_ping')).to.equal('pong');
      const refused = client.prepare({ server: 'off' }).call({}, 'oslo_rpc_server_ping');
      expect(await outcomeOf(refused)).to.equal('NO_SUCH_METHOD');
    });

    it('N-11: waitUntilReady resolves when the server appears late', async () => {
      await using lab = new Lab(transport);
      const tries = deferred();
      const client = await lab.client({
        layers: [
          (next) => (call) =>
            next(call).catch((error: unknown) => {
              tries.resolve();
              throw error;
            }),
        ],
      });
      let ready = false;
      const waiting = waitUntilReady(client, { timeoutMs: 20_000 }).then(() => {
        ready = true;
      });
      await tries.promise;
      expect(ready).to.equal(false);
      await lab.serve(echo);
      await waiting;
      expect(await client.call({}, 'echo', {})).to.deep.equal({});
    });

    it('N-11: waitUntilReady gives up at its deadline, and when its signal is aborted', async () => {
      await using lab = new Lab(transport);
      const client = await lab.client();
      expect(await outcomeOf(waitUntilReady(client, { timeoutMs: 250 }))).to.equal('TIMEOUT');
      const giveUp = new AbortController();
      const waiting = outcomeOf(waitUntilReady(client, { signal: giveUp.signal }));
      const reason = new Error('enough');
      giveUp.abort(reason);
      expect(await waiting).to.equal(reason);
    });

    it('N-16: a boot goes by cast, call and cast to the chosen host', async () => {
      await using lab = new Lab(transport);
      const id = newId();
      const [conductor, scheduler, compute] = [`conductor-${id}`, `scheduler-${id}`, `compute-${id}`];
      const on = await lab.serving();
      const trace: string[] = [];
      const done = deferred();
      const schedulers = new RPCClient(on, { target: { topic: scheduler } });
      const computes = new RPCClient(on, { target: { topic: compute } });
      const conductorApi = {
        target: { namespace: 'compute_task', version: '1.0' },
        async build_instances(context: Context, { image }: { readonly image: string }) {
          trace.push(`conductor builds ${image}`);
          const server = await schedulers.call(context, 'select_destinations', { image });
          await computes.prepare({ server: String(server) }).cast(context, 'build_and_run_instance', { image });
        },
      };
      const schedulerApi = {
        select_destinations() {
          trace.push('scheduler selects host2');
          return 'host2';
        },
      };
      const computeOn = (host: string): object => ({
        build_and_run_instance(context: Context) {
          trace.push(`${host} runs for ${context['user']}`);
          done.resolve();
        },
      });
      await lab.serve(conductorApi, { target: { topic: conductor, server: 'c1' } });
      await lab.serve(schedulerApi, { target: { topic: scheduler, server: 's1' } });
      for (const host of ['host1', 'host2'])
        await lab.serve(computeOn(host), { target: { topic: compute, server: host } });
      const api = await lab.client({ target: { topic: conductor, namespace: 'compute_task' } });
      await api.cast({ user: 'ada' }, 'build_instances', { image: 'debian' });
      await done.promise;
      expect(trace).to.deep.equal(['conductor builds debian', 'scheduler selects host2', 'host2 runs for ada']);
    });

    it('N-17: a cast hits one server, a directed one exactly that one, a fanout all', async () => {
      await using lab = new Lab(transport);
      const hits: string[] = [];
      const hosts = ['host1', 'host2', 'host3'];
      for (const host of hosts) {
        const hit = (_context: Context, { what }: { readonly what: string }): void => void hits.push(`${what} ${host}`);
        await lab.serve({ hit }, { server: host });
      }
      const client = await lab.client();
      await client.cast({}, 'hit', { what: 'boot' });
      await waitFor('the boot', () => hits.length >= 1);
      await client.prepare({ server: 'host2' }).cast({}, 'hit', { what: 'reboot' });
      await waitFor('the reboot', () => hits.length >= 2);
      await client.fanout({}, 'hit', { what: 'refresh' });
      await waitFor('the refresh', () => hits.length >= 5);
      const of = (what: string): string[] => hits.filter((hit) => hit.startsWith(`${what} `)).sort();
      expect(of('boot')).to.have.length(1);
      expect(of('reboot')).to.deep.equal(['reboot host2']);
      expect(of('refresh')).to.deep.equal(hosts.map((host) => `refresh ${host}`));
    });

    it('N-21: a command is accepted once its cast is with the broker, and its fields arrive as arguments', async () => {
      await using lab = new Lab(transport);
      const server = await lab.serve(echo);
      await server.close();
      const body = { name: 'web-1', flavor: 'm1.small', networks: [{ uuid: 'n-1' }], tags: { tier: 'front' } };
      const client = await lab.client();
      const status = await client.cast({}, 'create_server', body).then(() => 202);
      expect(status).to.equal(202);
      const created = deferred<unknown>();
      await lab.serve({ create_server: (_context: Context, args: object) => created.resolve(args) });
      expect(await created.promise).to.deep.equal(body);
    });

    it('O-06: 300 calls are dealt out evenly to three servers', async () => {
      await using lab = new Lab(transport);
      const counts = [0, 0, 0];
      for (const index of counts.keys()) {
        await lab.serve(
          {
            work: () => {
              counts[index] = (counts[index] ?? 0) + 1;
            },
          },
          { server: `server-${index}`, on: await lab.connect() },
        );
      }
      const client = await lab.client();
      // Fewer at a time than one server's prefetch: beyond that the quicker server rightly gets more.
      for (let batch = 0; batch < 10; batch++)
        await Promise.all(Array.from({ length: 30 }, () => client.call({}, 'work')));
      for (const count of counts) expect(count).to.be.within(70, 130);
      expect(counts.reduce((sum, count) => sum + count)).to.equal(300);
    });
  });
}
