import { serial } from '@posthorn/core';
import { defineMessage, memoryIdStore, Subscriber } from '@posthorn/messaging';
import { expect } from 'chai';
import { z } from 'zod';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { Counter, Heard, MessagingLab, numbers, plain, Sample } from './messaging-lab.ts';

/** Who gets what. */
export function describeSubscribing(transport: TransportUnderTest): void {
  it('G-02, G-18: workers of one group share its messages, and none is handled twice', async () => {
    await using lab = new MessagingLab(transport);
    const pool = numbers(4).map(() => new Heard());
    for (const heard of pool)
      await lab.hear(heard, { on: await lab.connect(), group: lab.group, executor: serial(), prefetch: 1 });
    const publisher = await lab.publisher();
    await Promise.all(numbers(100).map((n) => publisher.publish(plain(n))));
    await waitFor('all', () => pool.flatMap(({ all }) => all).length >= 100);
    expect(pool.flatMap(({ payloads }) => payloads)).to.have.members(numbers(100));
    for (const { all } of pool) expect(all).to.not.be.empty;
  });

  it('G-18: each of two groups gets every message once', async () => {
    await using lab = new MessagingLab(transport);
    const groups = ['metering', 'billing'].map((name) => ({ group: `${lab.group}-${name}`, heard: new Heard() }));
    for (const { group, heard } of groups)
      for (const _ of numbers(2)) await lab.hear(heard, { on: await lab.connect(), group });
    const publisher = await lab.publisher();
    await Promise.all(numbers(100).map((n) => publisher.publish(plain(n))));
    for (const { heard } of groups) {
      await heard.first(100);
      expect(heard.payloads).to.have.members(numbers(100));
    }
  });

  it('G-17: subscribers without a group each get every message, and disturb no other', async () => {
    await using lab = new MessagingLab(transport);
    const heard = numbers(3).map(() => new Heard());
    const failing = new Heard(() => {
      throw new Error('mine alone');
    });
    await lab.hear(failing, { on: await lab.connect(), retry: { limit: 1 } });
    for (const one of heard) await lab.hear(one, { on: await lab.connect() });
    const publisher = await lab.publisher();
    await Promise.all(numbers(100).map((n) => publisher.publish(plain(n))));
    for (const one of [...heard, failing]) {
      await one.first(100);
      expect(one.payloads).to.have.members(numbers(100));
    }
  });

  it('G-14, G-15: publishers and subscribers meet by what the messages are about, and know nothing of each other', async () => {
    await using lab = new MessagingLab(transport);
    const groups = ['a', 'b'].map((name) => ({ group: `${lab.group}-${name}`, heard: new Heard() }));
    for (const { group, heard } of groups) {
      const subscriber = await lab.subscriber({ group });
      await subscriber.on(Counter, heard.handler).start();
    }
    for (const publisherId of ['nova', 'glance', 'third-party']) {
      const publisher = await lab.publisher({ publisherId, on: await lab.connect() });
      for (const n of numbers(5)) await publisher.publish(new Counter(publisherId, n));
    }
    for (const { heard } of groups) {
      await heard.first(15);
      expect(
        heard.all.map(({ publisherId, payload }) => [publisherId, (payload as Counter).volume]),
      ).to.have.deep.members(['nova', 'glance', 'third-party'].flatMap((id) => numbers(5).map((n) => [id, n])));
    }
  });

  it('G-19: wildcards mean the same everywhere, and any function may be bound', async () => {
    await using lab = new MessagingLab(transport);
    const got: string[] = [];
    const subscriber = await lab.subscriber({ orderBy: () => 'one by one' });
    for (const pattern of ['exact.key', 'compute.*', 'compute.#', '*.error', '#.end', '#'])
      subscriber.bind(pattern, (_, { key }) => got.push(`${pattern}: ${key}`));
    await subscriber.start();
    const publisher = await lab.publisher();
    for (const key of [
      'exact.key',
      'compute.a',
      'compute',
      'compute.a.b',
      'x.error',
      'x.y.error',
      'a.b.end',
      'end',
      'x',
    ])
      await publisher.publish(plain(1), { key });
    await waitFor('all', () => got.length >= 9);
    expect(got).to.deep.equal([
      'exact.key: exact.key',
      'compute.*: compute.a',
      'compute.#: compute',
      'compute.#: compute.a.b',
      '*.error: x.error',
      '#: x.y.error',
      '#.end: a.b.end',
      '#.end: end',
      '#: x',
    ]);
  });

  it('G-19: only what is listened to is taken from the broker', async () => {
    await using lab = new MessagingLab(transport);
    const [some, rest] = [new Heard(), new Heard()];
    const group = lab.group;
    await (await lab.subscriber({ group, orderBy: () => '' })).bind('compute.#', some.handler).start();
    await lab.hear(rest);
    const publisher = await lab.publisher();
    for (const key of ['volume.create', 'compute.create']) await publisher.publish(plain(key), { key });
    await rest.first(2);
    await publisher.publish(plain('fence'), { key: 'compute.fence' });
    expect(await some.before('fence')).to.deep.equal(['compute.create']);
  });

  it('G-21: one handler gets a message: its type’s, else the first pattern’s, else the catch-all, bound in any order', async () => {
    await using lab = new MessagingLab(transport);
    const got: string[] = [];
    const note =
      (who: string) =>
      (payload: unknown, { type }: { readonly type: string }) => {
        got.push(`${who} ${type} ${payload instanceof Counter}`);
      };
    const subscriber = await lab.subscriber({ orderBy: () => 'one by one' });
    subscriber.bind('#', note('catch-all'));
    subscriber.bind('image.*', note('first'));
    subscriber.bind('image.#', note('second'));
    subscriber.on(Counter, note('type'));
    await subscriber.start();
    const publisher = await lab.publisher();
    await publisher.publish(new Counter('cpu'), { key: 'image.size' });
    await publisher.publish(plain(1, 'image.size'));
    await publisher.publish(plain(1, 'image.size.raw'));
    await publisher.publish({ ...plain(1, 'brand.new'), version: '7.3' });
    await waitFor('all', () => got.length >= 4);
    expect(got).to.deep.equal([
      'type counter true',
      'first image.size false',
      'second image.size.raw false',
      'catch-all brand.new false',
    ]);
  });

  it('G-21: a handler that is added later needs no other queue', async () => {
    await using lab = new MessagingLab(transport);
    const [before, plugin, others] = [new Heard(), new Heard(), new Heard()];
    const first = await lab.hear(before, { group: lab.group });
    const publisher = await lab.publisher();
    await publisher.publish(plain(1, 'image.size'));
    await before.first(1);
    await first.close();
    await publisher.publish(plain(2, 'image.size'));
    await publisher.publish(plain(3, 'other'));
    const second = await lab.subscriber({ group: lab.group });
    await second.bind('#', others.handler).bind('image.*', plugin.handler).start();
    await Promise.all([plugin.first(1), others.first(1)]);
    expect([plugin.payloads, others.payloads]).to.deep.equal([[2], [3]]);
  });

  it('G-22: an instance of the class arrives, an unknown type as the envelope that came', async () => {
    await using lab = new MessagingLab(transport);
    const [known, unknown] = [new Heard(), new Heard()];
    const subscriber = await lab.subscriber();
    await subscriber.on(Counter, known.handler).bind('#', unknown.handler).start();
    const publisher = await lab.publisher();
    await publisher.publish(new Counter('cpu', 21));
    await publisher.publish({ messageType: 'other', version: '2.1', payload: { name: 'cpu' } });
    await Promise.all([known.first(1), unknown.first(1)]);
    const [counter] = known.payloads;
    expect(counter).to.be.instanceOf(Counter);
    expect(counter).to.include({ name: 'cpu', doubled: 42, messageType: 'counter' });
    expect(unknown.all[0]?.envelope).to.deep.include({
      message_type: 'other',
      message_type_version: '2.1',
      payload: { name: 'cpu' },
    });
  });

  it('G-22: a payload arrives as its schema has it, defaults and all', async () => {
    await using lab = new MessagingLab(transport);
    const loads = deferred<number>();
    const subscriber = await lab.subscriber();
    await subscriber.on(Sample, ({ load }) => loads.resolve(load)).start();
    // @ts-expect-error the compiler knows what arrives
    expect(() => subscriber.on(Counter, ({ load }) => load)).to.throw(/before the start/);
    await (await lab.publisher()).publish(Sample, { host: 'h1' });
    expect(await loads.promise).to.equal(0);
  });

  it('G-22: types given apart are known to patterns, too', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    await lab.hear(heard, { types: [Counter, Sample] });
    const publisher = await lab.publisher();
    await publisher.publish(new Counter('cpu'));
    const [message] = await heard.first(1);
    expect(message?.payload).to.be.instanceOf(Counter);
  });

  it('G-11: a newer minor version is accepted, another major goes to the hook, and each major may have a handler', async () => {
    await using lab = new MessagingLab(transport);
    const [one, two, versions] = [new Heard(), new Heard(), new Heard()];
    const of = (version: string) =>
      defineMessage({ type: 'thing', version, payload: z.looseObject({ a: z.number() }) });
    const subscriber = await lab.subscriber({ onVersion: (message) => versions.handler(undefined, message) });
    await subscriber.on(of('1.2'), one.handler).on(of('2.0'), two.handler).start();
    const publisher = await lab.publisher();
    for (const version of ['1.0', '1.9', '2.3', '3.0', '0.9'])
      await publisher.publish({ messageType: 'thing', version, payload: { a: 1, new: version } });
    await Promise.all([one.first(2), two.first(1), versions.first(2)]);
    expect(one.payloads).to.have.deep.members([
      { a: 1, new: '1.0' },
      { a: 1, new: '1.9' },
    ]);
    expect(two.all.map(({ version }) => version)).to.deep.equal(['2.3']);
    expect(versions.all.map(({ version }) => version)).to.have.members(['3.0', '0.9']);
  });

  it('G-11: without the hook another major is a dead letter, which can be sent back after the upgrade', async () => {
    await using lab = new MessagingLab(transport);
    const of = (version: string) => defineMessage({ type: 'thing', version, payload: z.number() });
    const [old, upgraded] = [new Heard(), new Heard()];
    const before = await lab.subscriber({ group: lab.group });
    await before.on(of('1.0'), old.handler).start();
    await (await lab.publisher()).publish({ messageType: 'thing', version: '2.0', payload: 7 });
    const dead = await lab.dead();
    const [letter] = await waitFor(
      'the dead letter',
      async () => (await dead.list()).length > 0 && (await dead.list()),
    );
    expect(letter?.reason).to.equal('UNSUPPORTED_VERSION: thing 2.0 came, where 1.0 is known');
    await before.close();
    const after = await lab.subscriber({ group: lab.group });
    await after.on(of('2.0'), upgraded.handler).start();
    expect(await dead.redrive()).to.deep.equal([letter?.id]);
    await upgraded.first(1);
    expect([old.payloads, upgraded.payloads]).to.deep.equal([[], [7]]);
  });

  it('what no handler takes goes to onUnknown, and without it is done with, and logged once', async () => {
    await using lab = new MessagingLab(transport);
    const [told, counted] = [new Heard(), new Heard()];
    const options = { keys: ['#'], orderBy: () => 'one by one' };
    const hooked = await lab.subscriber({ ...options, onUnknown: (message) => told.handler(undefined, message) });
    await hooked.on(Counter, counted.handler).start();
    const bare = await lab.subscriber({ ...options, group: lab.group });
    await bare.on(Counter, counted.handler).start();
    const publisher = await lab.publisher();
    for (const n of numbers(3)) await publisher.publish(plain(n));
    await publisher.publish(new Counter('cpu'));
    await counted.first(2);
    expect(told.payloads).to.deep.equal([0, 1, 2]);
    const lines = lab.logged('warn').filter(({ message }) => message === 'no handler takes it: done with');
    expect(lines).to.deep.equal([
      {
        message: 'no handler takes it: done with',
        fields: { type: 'thing', exchange: lab.exchange, key: 'thing', times: 1 },
      },
    ]);
    expect(await (await lab.dead()).list()).to.deep.equal([]);
  });

  it('handlers are what they are from the start on, and none is given twice', async () => {
    await using lab = new MessagingLab(transport);
    const heard = new Heard();
    const subscriber = (await lab.subscriber()).on(Counter, heard.handler).bind('a.*', heard.handler);
    expect(() => subscriber.on(Counter, heard.handler)).to.throw(/counter 1\.x has a handler already/);
    expect(() => subscriber.bind('a.*', heard.handler)).to.throw(/a\.\* has a handler already/);
    await subscriber.start();
    expect(() => subscriber.on(Sample, heard.handler)).to.throw(/before the start/);
    expect(() => subscriber.bind('b', heard.handler)).to.throw(/before the start/);
    expect(() => subscriber[Symbol.asyncIterator]()).to.throw(/has handlers or is iterated/);
  });

  it('a subscriber without handlers is iterated, in order, until it is closed', async () => {
    await using lab = new MessagingLab(transport);
    const subscriber = await (await lab.subscriber({ types: [Counter] })).start();
    const publisher = await lab.publisher();
    for (const n of numbers(40)) await publisher.publish(new Counter('cpu', n));
    const seen: number[] = [];
    for await (const { payload } of subscriber) {
      if (payload instanceof Counter && seen.push(payload.volume) === 40) void subscriber.close();
    }
    expect(seen).to.deep.equal(numbers(40));
  });

  it('leaving a loop gives the message back to the group', async () => {
    await using lab = new MessagingLab(transport);
    const subscriber = await (await lab.subscriber({ group: lab.group })).start();
    const publisher = await lab.publisher();
    for (const n of numbers(3)) await publisher.publish(plain(n));
    for await (const { payload } of subscriber) if (payload === 1) break;
    await subscriber.close();
    const heard = new Heard();
    await lab.hear(heard, { group: lab.group });
    await heard.first(2);
    expect(heard.payloads).to.have.members([1, 2]);
  });

  it('batches are handed over full, or when the oldest has waited long enough, and share their end', async () => {
    await using lab = new MessagingLab(transport);
    const batches: number[][] = [];
    let fails = true;
    const subscriber = await lab.subscriber({ group: lab.group, retry: { limit: 3, minDelayMs: 20 } });
    subscriber.on(Counter, { size: 3, maxAgeMs: 1_000 }, (messages) => {
      batches.push(messages.map(({ payload }) => payload.volume).toSorted());
      if (fails) {
        fails = false;
        throw new Error('the database is full');
      }
    });
    await subscriber.start();
    const publisher = await lab.publisher();
    await Promise.all(numbers(3).map((n) => publisher.publish(new Counter('cpu', n))));
    await waitFor('the batch, twice', () => batches.flat().length === 6);
    await publisher.publish(new Counter('cpu', 3));
    await waitFor('the last one', () => batches.flat().length === 7);
    expect(batches[0]).to.deep.equal([0, 1, 2]);
    expect(batches.flat().toSorted()).to.deep.equal([0, 0, 1, 1, 2, 2, 3]);
    expect(batches.at(-1)).to.deep.equal([3]);
  });

  it('messages of one key are handled one after the other, in order, those of different keys side by side', async () => {
    await using lab = new MessagingLab(transport);
    const order: Record<string, number[]> = {};
    let [running, most] = [0, 0];
    const atOnce = new Set<string>();
    const everybody = deferred();
    const subscriber = await lab.subscriber({ orderBy: ({ key }) => key });
    subscriber.bind('#', async (payload, { key }) => {
      expect(atOnce.has(key)).to.equal(false);
      atOnce.add(key);
      most = Math.max(most, ++running);
      if (running === 3) everybody.resolve();
      await everybody.promise;
      order[key] = [...(order[key] ?? []), Number(payload)];
      running--;
      atOnce.delete(key);
    });
    await subscriber.start();
    const publisher = await lab.publisher();
    for (const n of numbers(10)) for (const key of ['a', 'b', 'c']) await publisher.publish(plain(n), { key });
    await waitFor('all', () => Object.values(order).flat().length === 30);
    expect(order).to.deep.equal({ a: numbers(10), b: numbers(10), c: numbers(10) });
    expect(most).to.equal(3);
  });

  it('a message that is published twice is handled once, where ids are remembered', async () => {
    await using lab = new MessagingLab(transport);
    const begun = deferred();
    const release = deferred();
    const heard = new Heard(async ({ payload }) => {
      begun.resolve();
      if (payload === 'twice') await release.promise;
    });
    const subscriber = await lab.subscriber({ group: lab.group, seen: memoryIdStore(), on: await lab.connect() });
    await subscriber.bind('#', heard.handler).start();
    const other = await lab.subscriber({ group: `${lab.group}-2`, seen: memoryIdStore() });
    const otherHeard = new Heard();
    await other.bind('#', otherHeard.handler).start();
    const on = await lab.calling();
    const message = {
      messageId: 'm1',
      contentType: 'application/vnd.posthorn.message+json',
      body: Buffer.from(
        JSON.stringify({
          message_id: 'm1',
          publisher_id: 'p',
          timestamp: new Date().toISOString(),
          message_type: 't',
          message_type_version: '1.0',
          payload: 'twice',
        }),
      ),
    };
    for (const _ of numbers(2))
      await on.send({ kind: 'topic', exchange: lab.exchange, key: 'k' }, message, { confirm: true });
    await begun.promise;
    release.resolve();
    await (await lab.publisher()).publish(plain('fence'));
    await Promise.all([heard.first(2), otherHeard.first(2)]);
    expect(heard.payloads).to.have.members(['twice', 'fence']);
    expect(otherHeard.payloads).to.have.members(['twice', 'fence']);
  });

  it('exchanges without a name, or with the name of a pattern, are refused', async () => {
    await using lab = new MessagingLab(transport);
    const on = await lab.serving();
    expect(() => new Subscriber(on, { exchange: [] })).to.throw(/exchange: at least one is needed/);
    expect(() => new Subscriber(on, { exchange: 'all.*' })).to.throw(/wildcards/);
    expect(() => new Subscriber(on, { exchange: '' })).to.throw(/non-empty/);
  });
}
