import { concurrent, type Delivery, serial } from '@posthorn/core';
import type { ServiceNotification, ServiceProxy, ServiceRequest, ServiceResponse } from '@posthorn/services';
import { expect } from 'chai';
import { bestOfThree } from '../best-of-three.ts';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { NOTIFICATIONS, remote, ServicesLab } from './services-lab.ts';

const RUNS = 20;

/** How requests, answers and notifications find their services. */
export function describeMessages(transport: TransportUnderTest): void {
  it('T-05: one server hosts several services, each with its own queue', async () => {
    await using lab = new ServicesLab(transport);
    const names = ['world', 'chuck'].map((name) => lab.service(name));
    const counts = new Map<string, number>();
    await lab.serve(
      names.map((service) => ({
        service,
        requests: { hit: () => void counts.set(service, (counts.get(service) ?? 0) + 1) },
      })),
    );
    const client = await lab.client('script');
    for (let n = 0; n < 10; n++) for (const service of names) await remote(client, service, 'hit').cast();
    await waitFor('all', () => [...counts.values()].reduce((sum, count) => sum + count, 0) === 20);
    expect([...counts.values()]).to.deep.equal([10, 10]);
  });

  it('T-13, T-18: a call returns before its answer is there, which goes to a handler of the caller', async () => {
    await using lab = new ServicesLab(transport);
    const [caller, world] = [lab.service('caller'), lab.service('world')];
    const gate = deferred();
    const answered = deferred<ServiceResponse>();
    const sent = deferred<ServiceRequest>();
    await lab.serve([
      {
        service: caller,
        requests: {
          async ask(_request: ServiceRequest, proxy: ServiceProxy) {
            expect(await remote(proxy, world, 'world', { b: 2 }).call()).to.equal(undefined);
            gate.resolve();
          },
        },
        responses: { [`${world}.world`]: (response: ServiceResponse) => answered.resolve(response) },
      },
    ]);
    await lab.serve(
      [
        {
          service: world,
          requests: {
            async world(request: ServiceRequest) {
              sent.resolve(request);
              await gate.promise;
              return { r: 3 };
            },
          },
        },
      ],
      { on: await lab.lab.connect() },
    );
    await remote(await lab.client('script'), caller, 'ask', { a: 1 }).cast();
    expect(`${(await sent.promise).source}`).to.equal(`${caller}.ask`);
    const { context, destination } = await answered.promise;
    expect([context, `${destination}`]).to.deep.equal([{ a: 1, b: 2, r: 3 }, caller]);
  });

  it('T-16: a publication is one message on the publisher’s exchange, under its source', async () => {
    await using lab = new ServicesLab(transport);
    const hello = lab.service('hello');
    const arrived: Delivery['message'][] = [];
    const pattern = `${hello}.hello.#`;
    const source = { kind: 'topic', exchange: NOTIFICATIONS, pattern } as const;
    await (await lab.lab.serving()).subscribe([source], (delivery) => {
      arrived.push(delivery.message);
      void delivery.settle('accept');
    });
    await (await lab.client(`${hello}.other`)).publish({ param: 0 });
    await (await lab.client(`${hello}.hello`)).publish({ param: 1 });
    await waitFor('it', () => arrived.length > 0);
    expect(arrived.map(({ headers }) => headers?.['source'])).to.deep.equal([`${hello}.hello`]);
    expect(JSON.parse(Buffer.from(arrived[0]?.body ?? []).toString())).to.deep.equal({
      payload: { param: 1 },
      context: {},
    });
  });

  it('T-23, T-24: a service that only subscribes gets all that its publisher publishes there, and nothing else', async () => {
    await using lab = new ServicesLab(transport);
    const [hello, world] = [lab.service('hello'), lab.service('world')];
    const got: unknown[] = [];
    const hear = ({ source, payload }: ServiceNotification): void => void got.push([`${source}`, payload['n']]);
    await lab.serve([{ service: world, subscriptions: { [`${hello}.hello`]: hear } }], { executor: serial() });
    const [here, there] = [await lab.client(`${hello}.hello`), await lab.client(`${hello}.other`)];
    for (let n = 0; n < 10; n++) {
      await there.publish({ n });
      await here.publish({ n });
    }
    await waitFor('ten', () => got.length >= 10);
    expect(got).to.deep.equal(Array.from({ length: 10 }, (_, n) => [`${hello}.hello`, n]));
  });

  it(`T-37: publisher and subscriber may start in any order, ${RUNS} times out of ${RUNS}`, async () => {
    await using lab = new ServicesLab(transport);
    const [one, two] = [await lab.lab.connect(), await lab.lab.connect()];
    for (let run = 0; run < RUNS; run++) {
      const [hello, world] = [lab.service(`hello${run}`), lab.service(`world${run}`)];
      const heard = deferred();
      const publish = (_request: ServiceRequest, proxy: ServiceProxy): Promise<void> => proxy.publish({});
      const publisher = { service: hello, requests: { hello: publish } };
      const subscriber = { service: world, subscriptions: { [`${hello}.hello`]: () => heard.resolve() } };
      const order = run % 2 === 0 ? [publisher, subscriber] : [subscriber, publisher];
      for (const [index, service] of order.entries()) await lab.serve([service], { on: index === 0 ? one : two });
      await remote(await lab.client('script'), hello, 'hello').cast();
      await heard.promise;
    }
  });

  it('T-37: a request waits for a service that was never there before', async () => {
    await using lab = new ServicesLab(transport);
    const late = lab.service('late');
    await remote(await lab.client('script'), late, 'hello', { a: 1 }).cast();
    const handled = deferred<unknown>();
    await lab.serve([
      { service: late, requests: { hello: ({ payload }: ServiceRequest) => handled.resolve(payload) } },
    ]);
    expect(await handled.promise).to.deep.equal({ a: 1 });
  });

  for (const [name, executor, most] of [
    ['serial', serial(), 1],
    ['concurrent', concurrent(5), 5],
  ] as const)
    it(`T-40: a ${name} executor runs ${most} at once, started in the order they were sent`, async () => {
      await using lab = new ServicesLab(transport);
      const world = lab.service('world');
      const started: unknown[] = [];
      const gates: (() => void)[] = [];
      await lab.serve(
        [
          {
            service: world,
            requests: {
              async world({ payload }: ServiceRequest) {
                started.push(payload['n']);
                await new Promise<void>((resolve) => gates.push(resolve));
              },
            },
          },
        ],
        { executor },
      );
      const client = await lab.client('script');
      for (let n = 0; n < 20; n++) await remote(client, world, 'world', { n }).cast();
      for (let ended = 0; ended < 20; ended++) {
        const now = Math.min(20, ended + most);
        await waitFor(`${now} to have started`, () => started.length >= now);
        expect(started).to.have.length(now);
        gates[ended]?.();
      }
      expect(started).to.deep.equal(Array.from({ length: 20 }, (_, n) => n));
    });

  it('T-41: a script sends a correlation and a header of its own along', async () => {
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    const handled = deferred<ServiceRequest>();
    await lab.serve([{ service: world, requests: { world: (request: ServiceRequest) => handled.resolve(request) } }]);
    const client = await lab.client('script.main', { headers: { aaa: 'bbb' } });
    await remote(client, world, 'world').cast({ correlationId: '123-456' });
    const { correlationId, headers, source } = await handled.promise;
    expect([correlationId, headers['aaa'], `${source}`]).to.deep.equal(['123-456', 'bbb', 'script.main']);
  });

  it('T-42: a client has many casts under way at once, and knows when the broker has them', async function () {
    this.timeout(60_000);
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    let handled = 0;
    await lab.serve([{ service: world, requests: { world: () => void handled++ } }]);
    const client = await lab.client('script');
    for (let batch = 0; batch < 10; batch++)
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => remote(client, world, 'world', { n }).cast()));
    await waitFor('all', () => handled >= 10_000, 30_000);
    expect(handled).to.equal(10_000);
  });

  it('T-49: handlers that take for ever do not delay a thousand quick requests', async function () {
    this.timeout(60_000);
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    const gate = deferred();
    const latencies: number[] = [];
    const slow = deferred();
    await lab.serve([
      {
        service: world,
        requests: {
          async slow() {
            slow.resolve();
            await gate.promise;
          },
          quick: ({ payload }: ServiceRequest) => void latencies.push(performance.now() - Number(payload['at'])),
        },
      },
    ]);
    const client = await lab.client('script');
    for (let n = 0; n < 10; n++) await remote(client, world, 'slow').cast();
    await slow.promise;
    const [p99] = await bestOfThree(async () => {
      latencies.length = 0;
      for (let n = 0; n < 1_000; n += 100)
        await Promise.all(
          Array.from({ length: 100 }, () => remote(client, world, 'quick', { at: performance.now() }).cast()),
        );
      await waitFor('the quick ones', () => latencies.length >= 1_000);
      return [latencies.toSorted((a, b) => a - b)[989] ?? Number.NaN] as const;
    });
    gate.resolve();
    expect(p99).to.be.below(1_000);
  });

  it('T-35: answers have a queue of their own, and do not wait behind a backlog of requests', async () => {
    await using lab = new ServicesLab(transport);
    const [hello, world] = [lab.service('hello'), lab.service('world')];
    const gate = deferred();
    const begun = deferred();
    const order: string[] = [];
    await lab.serve(
      [
        {
          service: hello,
          requests: {
            async first(_request: ServiceRequest, proxy: ServiceProxy) {
              await remote(proxy, world, 'world').call();
              begun.resolve();
              await gate.promise;
            },
            later: () => void order.push('request'),
          },
          responses: { [`${world}.world`]: () => void order.push('answer') },
        },
      ],
      { executor: serial(), prefetch: 1 },
    );
    await lab.serve([{ service: world, requests: { world: () => ({}) } }], { on: await lab.lab.connect() });
    const client = await lab.client('script');
    await remote(client, hello, 'first').cast();
    await begun.promise;
    for (let n = 0; n < 100; n++) await remote(client, hello, 'later').cast();
    // The answer is at the broker, behind all of them, once a request that was sent after it came back.
    const fence = deferred();
    const other = lab.service('other');
    await lab.serve([{ service: other, responses: { [`${world}.world`]: () => fence.resolve() } }], {
      on: await lab.lab.connect(),
    });
    await remote(client, world, 'world').call({ replyTo: other });
    await fence.promise;
    gate.resolve();
    await waitFor('all', () => order.length === 101);
    expect(order.indexOf('answer')).to.be.below(10);
  });
}
