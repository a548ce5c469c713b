import { type HeaderValue, type Message, serial } from '@posthorn/core';
import { REQUEUE } from '@posthorn/notify';
import { expect } from 'chai';
import { waitFor } from '../wait-for.ts';
import { deferred } from './deferred.ts';
import { Heard, NotifyLab } from './notify-lab.ts';
import type { TransportHarness } from './transport-harness.ts';

const message = (body: string, headers: Readonly<Record<string, HeaderValue>> = {}): Message => ({
  messageId: 'bad-1',
  contentType: 'application/json',
  contentEncoding: 'utf-8',
  body: Buffer.from(body),
  headers,
});

const NATIVE = {
  'ph-publisher': 'p',
  'ph-event': 'bad',
  'ph-priority': 'info',
  'ph-timestamp': '2026-11-20T22:13:31.688Z',
};

/** What a listener cannot understand, and what its dead letter says. */
const BAD: readonly { readonly what: string; readonly bad: Message; readonly reason: RegExp }[] = [
  { what: 'an undecodable body', bad: message('{"half', NATIVE), reason: /^MALFORMED: the payload/ },
  {
    what: 'an unknown priority',
    bad: message('{}', { ...NATIVE, 'ph-priority': 'shout' }),
    reason: /^MALFORMED: unknown priority shout/,
  },
  { what: 'no headers at all', bad: message('{}'), reason: /^MALFORMED: unknown priority/ },
];

/** What becomes of notifications that fail. */
export function describeFailures(transport: TransportHarness): void {
  it('R-18: what a listener had not finished when it was cut off is handled by another', async () => {
    await using lab = new NotifyLab(transport);
    const begun = deferred();
    const first = new Heard(['info'], () => {
      begun.resolve();
      return new Promise<undefined>(() => undefined);
    });
    const dying = await lab.connect();
    await lab.listen([first.endpoint], { on: dying });
    await (await lab.notifier()).info({}, 'unfinished', { n: 1 });
    await begun.promise;
    const second = new Heard();
    await lab.listen([second.endpoint], { on: await lab.connect() });
    await dying.close({ timeoutMs: 1 });
    expect(await second.first(1)).to.deep.equal(['unfinished']);
    expect(second.all[0]?.id).to.equal(first.all[0]?.id);
  });

  it('R-18: a notification is settled only when its endpoints are done', async () => {
    await using lab = new NotifyLab(transport);
    const turn = deferred();
    const heard = new Heard(['info'], async () => {
      await turn.promise;
      return undefined;
    });
    await lab.listen([heard.endpoint], { executor: serial(), prefetch: 1 });
    const notifier = await lab.notifier();
    for (const event of ['one', 'two']) await notifier.info({}, event, {});
    await heard.first(1);
    // A prefetch of one: the second comes when the first was settled, and no sooner.
    const other = new Heard();
    await lab.listen([other.endpoint], { on: await lab.connect() });
    expect(await other.first(1)).to.deep.equal(['two']);
    turn.resolve();
    await notifier.info({}, 'three', {});
    await waitFor('the third', () => [...heard.events, ...other.events].includes('three'));
    expect([...heard.events, ...other.events].toSorted()).to.deep.equal(['one', 'three', 'two']);
  });

  it('immunity 7: a poison event is tried up to the limit, then dead-lettered with reason, headers and attempts; the rest flows on', async () => {
    await using lab = new NotifyLab(transport);
    const pool = `${lab.topic}-pool`;
    const dead = await lab.deadLetters(pool);
    const heard = new Heard(['info'], ({ eventType }) => {
      if (eventType === 'poison') throw new Error('cannot swallow this');
      return undefined;
    });
    await lab.listen([heard.endpoint], { pool, executor: serial(), retry: { limit: 3, minDelayMs: 20 } });
    const notifier = await lab.notifier();
    // In one turn: the others are on their way before there is a second attempt.
    await Promise.all([
      notifier.info({ user_id: 'alice' }, 'poison', { n: 7 }, { headers: { trace: 't1' } }),
      ...['one', 'two', 'three'].map((event) => notifier.info({}, event, {})),
    ]);
    await waitFor('the dead letter', () => dead.length > 0);
    await heard.before('three');
    expect(heard.events.filter((event) => event === 'poison')).to.have.length(3);
    expect(heard.events.filter((event) => event !== 'poison')).to.deep.equal(['one', 'two', 'three']);
    expect(heard.events.slice(0, 2)).to.deep.equal(['poison', 'one']);
    const [letter] = dead;
    expect(letter?.messageId).to.equal(heard.all[0]?.id);
    expect(JSON.parse(Buffer.from(letter?.body ?? '').toString())).to.deep.equal({ n: 7 });
    expect(letter?.headers).to.deep.include({
      trace: 't1',
      'ph-event': 'poison',
      'ph-publisher': 'compute.host1',
      'ph-priority': 'info',
      'ph-attempts': 3,
      'ph-dead-reason': 'cannot swallow this',
      'ph-origin': `topic posthorn/${lab.topic}.info`,
    });
    expect(dead).to.have.length(1);
    expect(lab.logged('error').filter(({ message: text }) => text.startsWith('dead-lettered'))).to.have.length(1);
  });

  it('immunity 7: REQUEUE for ever never spins: the pauses grow, and the attempts end', async () => {
    await using lab = new NotifyLab(transport);
    const dead = await lab.deadLetters(lab.defaultGroup('info'));
    const times: number[] = [];
    const heard = new Heard(['info'], () => {
      times.push(performance.now());
      return REQUEUE;
    });
    await lab.listen([heard.endpoint], { retry: { limit: 5, minDelayMs: 20, maxDelayMs: 80 } });
    await (await lab.notifier()).info({}, 'again', {});
    await waitFor('the dead letter', () => dead.length > 0);
    expect(times).to.have.length(5);
    const pauses = times.slice(1).map((time, n) => time - (times[n] ?? 0));
    // Timers round to whole milliseconds.
    for (const [n, least] of [20, 40, 80, 80].entries()) expect(pauses[n]).to.be.at.least(least - 2);
    expect(dead[0]?.headers).to.include({ 'ph-attempts': 5, 'ph-dead-reason': 'asked for again' });
  });

  it('a dead letter goes where the policy says, and the event can be sent to its group again', async () => {
    await using lab = new NotifyLab(transport);
    const [pool, graveyard] = [`${lab.topic}-pool`, `${lab.topic}-graveyard`];
    const dead = await lab.deadLetters(graveyard);
    let fails = true;
    const heard = new Heard(['info'], () => (fails ? REQUEUE : undefined));
    await lab.listen([heard.endpoint], { pool, retry: { limit: 1, deadLetter: `${graveyard}.dead` } });
    await (await lab.notifier()).info({}, 'e', { n: 1 });
    const letter = await waitFor('the dead letter', () => dead[0]);
    fails = false;
    await (await lab.calling()).send({ kind: 'group', name: pool }, letter, { confirm: true });
    await heard.first(2);
    expect(heard.all[1]).to.deep.equal(heard.all[0]);
  });

  for (const { what, bad, reason } of BAD)
    it(`immunity 7: ${what} (native) is logged once with where it came from, dead-lettered, and blocks nothing`, async () => {
      await using lab = new NotifyLab(transport);
      await lab.expectBuried(bad, reason, { on: await lab.connect(), group: lab.defaultGroup('info') });
    });
}
