import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { concurrent, serial } from '@posthorn/core';
import { type Discovery, fileDiscovery, HttpDiscovery } from '@posthorn/services';
import { expect } from 'chai';
import { listenOnFreePort } from '../src/free-port.ts';
import { places } from '../src/places.ts';
import {
  CORRELATION,
  type Handled,
  type HelloWorldOptions,
  helloWorld,
  SERVICES,
} from '../src/scenarios/hello-world.ts';
import { makeTempFolder } from '../src/temp-folder.ts';

const COUNTS = {
  'hello.hello': 1,
  'world.world': 2,
  'hello.world_resp': 2,
  'world.world2': 2,
  'world.hello_subscription': 1,
  'chuck.hello_subscription': 1,
  'hello.hello_with_error': 2,
  'world.hello_error': 1,
  'chuck.hello_error': 1,
};

interface Run {
  readonly handled: readonly Handled[];
  readonly controllers: readonly string[];
}

async function run(options: Omit<HelloWorldOptions, 'onHandled'>): Promise<Run> {
  const handled: Handled[] = [];
  const controllers: string[] = [];
  await helloWorld({
    ...options,
    onHandled: (one) => void handled.push(one),
    onController: (name) => void controllers.push(name),
  });
  return { handled, controllers };
}

const of = ({ handled }: Run, handler: string): Handled['message'][] =>
  handled.filter((one) => one.handler === handler).map(({ message }) => message);

const counts = ({ handled }: Run): Record<string, number> =>
  Object.fromEntries(
    [...new Set(handled.map(({ handler }) => handler))].map((handler) => [
      handler,
      handled.filter((one) => one.handler === handler).length,
    ]),
  );

/** What E1 lists. */
function expectTheStory(story: Run): void {
  expect(counts(story)).to.deep.equal(COUNTS);
  expect(new Set(story.handled.map(({ message }) => message.correlationId))).to.deep.equal(new Set([CORRELATION]));
  for (const { context } of of(story, 'world.world2')) expect(context).to.have.all.keys('a', 'b', 'r', 'c');
  for (const who of ['world', 'chuck'])
    for (const { payload } of of(story, `${who}.hello_error`))
      expect(payload).to.deep.equal({ class: 'Error', message: 'as expected', code: 1000 });
  expect(story.controllers).to.have.length(story.handled.length);
}

for (const { name, open } of places())
  describe(`hello, world and Chuck over ${name}`, function () {
    this.timeout(60_000);

    for (const order of [
      ['world', 'hello', 'client'],
      ['hello', 'world', 'client'],
      ['client', 'world', 'hello'],
    ] as const)
      it(`E1, T-01, T-13, T-37: ${order.join(', ')} start, and each message is handled as often as it should be`, async function () {
        await using place = await open(this);
        expectTheStory(await run({ url: place.url, order }));
      });

    for (const lanes of ['split', 'shared'] as const)
      for (const executor of [serial, () => concurrent(4)])
        it(`E1, T-40: with ${lanes} lanes and a ${executor === serial ? 'serial' : 'concurrent'} executor`, async function () {
          await using place = await open(this);
          expectTheStory(await run({ url: place.url, lanes, executor }));
          if (place.management === undefined) return;
          const exchanges = await place.management.api.exchanges(place.management.vhost);
          const answers = lanes === 'split' ? ['test_exchange.answers', 'test_world_exchange.answers'] : [];
          expect(exchanges.flatMap((one) => (/^(amq\.|$)/.test(one.name) ? [] : [one.name]))).to.have.members([
            'test_exchange',
            'test_notification_exchange',
            'test_world_exchange',
            ...answers,
          ]);
        });

    it('E1, T-18: answers that are asked to go to the audit go there, and not to hello', async function () {
      await using place = await open(this);
      const story = await run({ url: place.url, replyTo: 'audit' });
      const { 'hello.world_resp': _, 'world.world2': __, ...rest } = COUNTS;
      expect(counts(story)).to.deep.equal({ ...rest, 'audit.world_resp': 2 });
    });

    it('E1, T-30: with the discovery in a file of services', async function () {
      await using place = await open(this);
      const file = join(makeTempFolder('services'), 'services.ds');
      const lines = Object.entries(SERVICES).flatMap(([service, { exchange, notifications }]) => [
        `[${service}]`,
        `exchange=${exchange}`,
        ...(notifications === undefined ? [] : [`notifications=${notifications}`]),
        '',
      ]);
      writeFileSync(file, lines.join('\n'));
      const discovery: HelloWorldOptions['discovery'] = (service, subscriptions) =>
        fileDiscovery(file, { ...(service !== undefined && { service }), subscriptions });
      expectTheStory(await run({ url: place.url, discovery }));
    });

    it('E1, T-31: with the discovery behind HTTP', async function () {
      await using place = await open(this);
      const http = createServer((_, response) => response.end(JSON.stringify(SERVICES)));
      const port = await listenOnFreePort(http);
      try {
        const discovery = async (service: string | undefined, subscriptions: readonly string[]): Promise<Discovery> =>
          new HttpDiscovery(`http://127.0.0.1:${port}/`, { ...(service !== undefined && { service }), subscriptions });
        expectTheStory(await run({ url: place.url, discovery }));
      } finally {
        http.close();
        http.closeAllConnections();
      }
    });
  });
