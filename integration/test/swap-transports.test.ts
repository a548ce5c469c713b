import { readFileSync } from 'node:fs';
import type { AddressKind, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { runEchoExample } from '../src/echo-example.ts';
import { type Place, partialPlaces, places, proton } from '../src/places.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { bootAnInstance, EXCHANGE, METERING } from '../src/scenarios/boot-an-instance.ts';
import { deployAgents } from '../src/scenarios/deploy-agents.ts';
import { meterPublishers } from '../src/scenarios/metering-publishers.ts';
import { Transcript } from '../src/scenarios/transcript.ts';
import { waysToCall } from '../src/scenarios/ways-to-call.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

/** What a program is told, and what it tells. */
interface Program {
  readonly title: string;
  /** Of its golden transcript, which is what it tells over memory. */
  readonly file: string;
  /** The kinds of address that it uses. */
  readonly kinds: readonly AddressKind[];
  run(url: string): Promise<readonly string[]>;
}

const CALLS = ['anycast', 'unicast', 'multicast', 'reply'] as const;
const MESSAGES = ['topic', 'group'] as const;

const PROGRAMS: readonly Program[] = [
  {
    title: 'E2, boot an instance',
    file: 'boot-an-instance',
    kinds: [...CALLS, ...MESSAGES],
    run: (url) => boot(url),
  },
  {
    title: 'E3, deploy agents',
    file: 'deploy-agents',
    kinds: [...CALLS, ...MESSAGES, 'mailbox'],
    async run(url) {
      const transcript = new Transcript();
      await deployAgents({ url, ...transcript });
      return transcript.lines;
    },
  },
  {
    title: 'E4, metering publishers',
    file: 'metering-publishers',
    kinds: MESSAGES,
    async run(url) {
      const transcript = new Transcript();
      await meterPublishers({ url, ...transcript });
      return transcript.lines;
    },
  },
  {
    title: 'E5, ways to call',
    file: 'ways-to-call',
    kinds: CALLS,
    async run(url) {
      const transcript = new Transcript();
      await waysToCall({ url, ...transcript });
      return transcript.inOrder;
    },
  },
  { title: 'the echo example', file: 'echo-example', kinds: CALLS, run: runEchoExample },
];

async function boot(url: string, notificationsUrl?: string): Promise<readonly string[]> {
  const transcript = new Transcript('collector', 'conductor');
  await bootAnInstance({ url, notificationsUrl, ...transcript });
  return transcript.lines;
}

function golden(file: string): readonly string[] {
  const text = readFileSync(new URL(`./transcripts/${file}.txt`, import.meta.url), 'utf8');
  return text.trimEnd().split('\n');
}

describe('programs that swap transports', function () {
  this.timeout(60_000);

  for (const { name, open } of places())
    describe(`to ${name}, by their URL alone`, () => {
      let place: Place;
      const told = new Map<Program, Promise<readonly string[]>>();

      before(async function () {
        place = await open(this);
        // All at once, which takes no longer than the longest.
        for (const program of PROGRAMS) {
          const running = program.run(place.url);
          running.catch(() => {});
          told.set(program, running);
        }
      });

      after(async () => {
        await Promise.allSettled(told.values());
        await place?.[Symbol.asyncDispose]();
      });

      for (const program of PROGRAMS)
        it(`E6, R-14, K-05: ${program.title}, tells what it tells over memory`, async () => {
          expect(await told.get(program)).to.deep.equal(golden(program.file));
        });
    });

  for (const [name, variable] of [
    ['RabbitMQ 4.0', 'POSTHORN_RABBIT40_URL'],
    ['RabbitMQ 4.3', 'POSTHORN_RABBIT43_URL'],
  ] as const)
    if (!process.env[variable])
      it(`E6, R-14, K-05: to ${name}, by either protocol`, function () {
        skip(this, name, `${variable} is not set`);
      });

  for (const { name, open } of partialPlaces())
    describe(`to ${name}, by their URL alone`, () => {
      let place: Place;
      let known: readonly AddressKind[];

      before(async function () {
        place = await open(this);
        await using transport = await connectQuietly(place.url);
        known = transport.features.kinds;
      });

      after(() => place?.[Symbol.asyncDispose]());

      for (const { title, file, kinds, run } of PROGRAMS)
        it(`E6, R-14, K-05: ${title}, names what is missing there, or else tells what it tells over memory`, async () => {
          const missing = kinds.filter((kind) => !known.includes(kind)).join('|');
          if (missing === '') return expect(await run(place.url)).to.deep.equal(golden(file));
          const refusal = `UnsupportedError: the amqp1 \\(\\w+\\) transport does not support (${missing}) addresses`;
          expect(await run(place.url).then(String, String)).to.match(new RegExp(refusal));
        });
    });

  it('E6, R-14, K-05: the echo example, to the Proton example broker on the wire of oslo, tells what it tells over memory', async function () {
    await using place = await proton.open(this);
    expect(await runEchoExample(`${place.url}?wire=oslo`)).to.deep.equal(golden('echo-example'));
  });

  for (const [index, calls] of places().entries()) {
    const notifications = places().at(index - 1) ?? calls;

    it(`E6, O-03: E2, boot an instance, calls over ${calls.name} and notifies over ${notifications.name}`, async function () {
      await using one = await calls.open(this);
      await using other = await notifications.open(this);
      await using tapOfOne = await Tap.open(one.url);
      await using tapOfOther = await Tap.open(other.url);
      expect(await boot(one.url, other.url)).to.deep.equal(golden('boot-an-instance'));
      // Five events and a meter.
      await waitFor('all that was notified', () => tapOfOther.heard.length >= 6);
      expect(tapOfOther.heard.toSorted()).to.deep.equal([METERING, ...Array.from({ length: 5 }, () => EXCHANGE)]);
      expect(tapOfOne.heard).to.deep.equal([]);
    });
  }
});

/** Hears what E2 sends to topics. */
class Tap implements AsyncDisposable {
  /** The exchanges of what came. */
  readonly heard: string[] = [];
  readonly #transport: Transport;

  static async open(url: string): Promise<Tap> {
    const tap = new Tap(await connectQuietly(url));
    const sources = [EXCHANGE, METERING].map((exchange) => ({ kind: 'topic', exchange, pattern: '#' }) as const);
    await tap.#transport.subscribe(sources, (delivery) => {
      if (delivery.to.kind === 'topic') tap.heard.push(delivery.to.exchange);
      void delivery.settle('accept');
    });
    return tap;
  }

  private constructor(transport: Transport) {
    this.#transport = transport;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport.close();
  }
}
