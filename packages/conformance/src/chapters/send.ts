import type { HeaderValue, Message } from '@posthorn/core';
import { expect } from 'chai';
import { lifetime, outcomeOf } from '../kit.ts';
import { anycast, name, numbered, text, textOf } from '../messages.ts';
import type { Suite } from '../suite.ts';

const MEBIBYTE = 1024 * 1024;

/** What travels arrives, as it was, once. */
export function send(suite: Suite): void {
  const test = suite.cases({ kinds: ['anycast'] });

  const bodies: readonly (readonly [string, Uint8Array])[] = [
    ['an empty body', new Uint8Array()],
    ['a body of every byte', Uint8Array.from({ length: 256 }, (_, index) => index)],
    ['a body in other scripts', Buffer.from('grün 鳥 🎺 \u0000 \u202e')],
    ['a body that is a part of a larger buffer', Buffer.from('not this, but this, and not this').subarray(10, 18)],
    ['a body of 1 MiB', Buffer.alloc(MEBIBYTE, 'a body that repeats itself. ')],
  ];
  for (const [what, body] of bodies) {
    test(`carries ${what}`, async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to);
      await driver.send(to, { body }, { confirm: true });
      const { message } = await box.nth(1);
      expect(Buffer.from(message.body).equals(body), 'the same bytes').to.equal(true);
    });
  }

  test('carries every property of a message', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const properties = {
      contentType: 'application/vnd.example+json; charset=utf-8',
      contentEncoding: 'gzip',
      type: 'an.example ✓',
      messageId: name('id'),
      correlationId: 'korrelation ✓',
      replyTo: name('reply/to.'),
    };
    await driver.send(to, text('x', properties), { confirm: true });
    const { message } = await box.nth(1);
    expect({ ...message, body: '', headers: {} }).to.deep.equal({ ...properties, body: '', headers: {} });
  });

  test('carries headers with their types', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const headers: Record<string, HeaderValue> = {
      text: 'text',
      empty: '',
      'grün-鳥': '🎺 ✓',
      digits: '42',
      integer: 42,
      negative: -7,
      large: 2 ** 40,
      fraction: 0.25,
      zero: 0,
      yes: true,
      no: false,
      'with.dots-and_dashes': 'x',
    };
    await driver.send(to, text('x', { headers }), { confirm: true });
    expect((await box.nth(1)).message.headers).to.deep.equal(headers);
  });

  test('adds no property and no header that the sender did not set', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await driver.send(to, text('x'), { confirm: true });
    const { body, headers = {}, ...rest } = (await box.nth(1)).message;
    expect({ body: Buffer.from(body).toString(), headers, rest }).to.deep.equal({ body: 'x', headers: {}, rest: {} });
  });

  test('delivers what was sent, though the sender changes its buffer once the send resolved', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const body = Buffer.from('before');
    await driver.send(to, { body }, { confirm: true });
    body.write('after!');
    expect(await box.textsOf(1)).to.deep.equal(['before']);
  });

  test('names the address that the subscriber asked for on each delivery', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await kit.send(driver, to, 'x');
    expect((await box.nth(1)).to).to.deep.equal(to);
    expect(box.subscription.address).to.deep.equal(to);
  });

  for (const confirm of [true, false]) {
    const how = confirm ? 'with' : 'without';
    test(`keeps the order of one sender, ${how} confirmation`, async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const box = await kit.open(driver, to);
      const texts = numbered(200);
      await kit.sendAll(driver, to, texts, { confirm });
      expect(await box.textsOf(200)).to.deep.equal(texts);
    });

    test(`delivers 1,000 concurrent messages once each, ${how} confirmation`, async (kit) => {
      const sender = await kit.driver();
      const receiver = await kit.driver();
      const to = anycast();
      const box = await kit.open(receiver, to);
      const texts = numbered(1_000);
      await kit.sendAll(sender, to, texts, { confirm });
      expect(new Set(await box.textsOf(1_000))).to.deep.equal(new Set(texts));
      await kit.send(sender, to, 'fence', { confirm });
      expect(await box.before('fence')).to.have.lengthOf(1_000);
    });
  }

  test('keeps 20 concurrent streams apart', async (kit) => {
    const driver = await kit.driver();
    const exchange = name('e');
    const streams = await Promise.all(
      numbered(20, 't').map(async (each) => {
        const to = anycast(exchange, each);
        return { to, box: await kit.open(driver, to), texts: numbered(20, `${each}-`) };
      }),
    );
    await Promise.all(streams.map(({ to, texts }) => kit.sendAll(driver, to, texts)));
    for (const { box, texts } of streams) expect(await box.textsOf(20)).to.deep.equal(texts);
  });

  test('rejects with the reason of a signal that is aborted already, and sends nothing', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const reason = { not: 'an error' };
    expect(await outcomeOf(kit.send(driver, to, 'aborted', { signal: AbortSignal.abort(reason) }))).to.equal(reason);
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal([]);
  });

  test('tells the truth about a send that is aborted on its way', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await kit.send(driver, to, 'first');
    const abort = new AbortController();
    const reason = new Error('enough');
    const sending = outcomeOf(kit.send(driver, to, 'aborted', { signal: abort.signal }));
    abort.abort(reason);
    const outcome = await sending;
    await kit.send(driver, to, 'fence');
    expect(outcome).to.be.oneOf(['resolved', reason]);
    expect(await box.before('fence')).to.include.members(outcome === 'resolved' ? ['first', 'aborted'] : ['first']);
  });

  test('withdraws a message whose beforeWrite says false', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await kit.send(driver, to, 'withdrawn', { beforeWrite: () => false });
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal([]);
  });

  test('asks beforeWrite once, before the message can arrive', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const arrived: number[] = [];
    const beforeWrite = (): boolean => arrived.push(box.items.length) > 0;
    await kit.send(driver, to, 'written', { beforeWrite });
    expect(await box.textsOf(1)).to.deep.equal(['written']);
    expect(arrived).to.deep.equal([0]);
  });

  test('keeps no timer of a message that was sent', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    await kit.send(driver, to, 'early');
    await kit.send(driver, to, 'quick', { timeoutMs: 1_500 });
    await lifetime(1_550);
    await kit.send(driver, to, 'late');
    expect(await box.textsOf(3)).to.deep.equal(['early', 'quick', 'late']);
  });

  test('lets one message be sent twice, as two', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    const message: Message = text('shared', { headers: { n: 1 } });
    await driver.send(to, message, { confirm: true });
    await driver.send(to, message, { confirm: true });
    const [one, two] = await box.first(2);
    if (one === undefined || two === undefined) throw new Error('two were there');
    one.message.body.fill(0);
    expect(textOf(two.message)).to.equal('shared');
    expect(textOf(message)).to.equal('shared');
  });

  suite.cases({ kinds: ['anycast'], when: ({ priority }) => priority })(
    'delivers what is more urgent first, where the queue has priorities',
    async (kit) => {
      const driver = await kit.driver();
      const to = anycast();
      const options = { retention: { maxPriority: 9 }, prefetch: 1, settle: 'hold' } as const;
      const box = await kit.open(driver, to, options);
      await kit.send(driver, to, 'held');
      const held = await box.nth(1);
      for (const priority of [1, 9, 5]) await kit.send(driver, to, `p${priority}`, { priority });
      await held.settle('accept');
      for (const nth of [2, 3]) await (await box.nth(nth)).settle('accept');
      expect(await box.textsOf(4)).to.deep.equal(['held', 'p9', 'p5', 'p1']);
    },
  );

  const plain = suite.cases({ kinds: ['anycast'], when: ({ priority }) => !priority });
  plain('refuses a priority, where it has none', async (kit) => {
    const driver = await kit.driver();
    const to = anycast();
    const box = await kit.open(driver, to);
    expect(await outcomeOf(kit.send(driver, to, 'urgent', { priority: 5 }))).to.equal('UNSUPPORTED');
    await kit.send(driver, to, 'fence');
    expect(await box.before('fence')).to.deep.equal([]);
  });

  plain('refuses a queue with priorities, where it has none', async (kit) => {
    const driver = await kit.driver();
    const retention = { maxPriority: 9 };
    expect(await outcomeOf(driver.subscribe([anycast()], () => {}, { retention }))).to.equal('UNSUPPORTED');
    expect(await outcomeOf(kit.send(driver, anycast(), 'x', { retention, unrouted: 'keep' }))).to.equal('UNSUPPORTED');
  });
}
