import { expect } from 'chai';
import sinon from 'sinon';
import { type Expectation, Inbox } from '../src/inbox.ts';
import type { Address, Driver, Message } from '../src/index.ts';
import { memoryDriver, rejection, settled, text } from './support.ts';

describe('the inbox', () => {
  let driver: Driver;
  let inbox: Inbox;
  let unknown: (string | undefined)[];

  beforeEach(async () => {
    driver = await memoryDriver();
    unknown = [];
    inbox = new Inbox(
      driver,
      ({ correlationId }) => {
        if (correlationId === 'unreadable') throw new Error('cannot tell');
        return correlationId;
      },
      ({ correlationId }) => unknown.push(correlationId),
    );
  });

  afterEach(async () => {
    sinon.restore();
    inbox.close();
    await driver.close();
  });

  /** Waits; the answer, or the error, is the promise's. */
  const expectAnswer = (
    more: Partial<Expectation> = {},
  ): { readonly id: string; readonly answered: Promise<Message> } => {
    let id = '';
    const answered = new Promise<Message>((resolve, reject) => {
      id = inbox.expect({
        what: 'call x',
        timeoutMs: 10_000,
        timeoutError: () => new Error('time is up'),
        isWritten: () => true,
        answer: (message) => {
          resolve(message);
          return true;
        },
        fail: reject,
        ...more,
      });
    });
    return { id, answered };
  };

  const answer = async (correlationId: string, body = 'answer'): Promise<void> => {
    await driver.send({ kind: 'reply', name: await inbox.address() }, text(body, { correlationId }));
  };

  it('has one address, made at the first need', async () => {
    const subscribe = sinon.spy(driver, 'subscribe');
    expect(inbox.name).to.equal(undefined);
    const [one, two] = await Promise.all([inbox.address(), inbox.address()]);
    expect([one, inbox.name]).to.deep.equal([two, two]);
    sinon.assert.calledOnce(subscribe);
  });

  it('gives each reply to who waits for it, in any order', async () => {
    const waiting = [1, 2, 3].map(() => expectAnswer());
    for (const { id } of [...waiting].reverse()) await answer(id, id);
    const answers = await Promise.all(waiting.map(({ answered }) => answered));
    const bodies = answers.map(({ body }) => Buffer.from(body).toString());
    expect(bodies).to.deep.equal(waiting.map(({ id }) => id));
    expect(inbox.size).to.equal(0);
  });

  it('reports replies that nobody waits for, once too many included, and those it cannot tell apart', async () => {
    const { id, answered } = expectAnswer();
    for (const other of [id, id, 'b', id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')), 'unreadable'])
      await answer(other);
    await answered;
    await settled();
    expect(unknown).to.have.lengthOf(4);
    expect([unknown[0], unknown[1], unknown[3]]).to.deep.equal([id, 'b', 'unreadable']);
  });

  it('keeps waiting after what is only in between', async () => {
    const bodies: string[] = [];
    const { id } = expectAnswer({
      answer: ({ body }) => bodies.push(Buffer.from(body).toString()) === 3,
    });
    for (const body of ['beat', 'beat', 'result', 'late']) await answer(id, body);
    await settled();
    expect(bodies).to.deep.equal(['beat', 'beat', 'result']);
    expect(unknown).to.deep.equal([id]);
  });

  it('fails the wait for a reply that cannot be read', async () => {
    const bad = new Error('cannot read');
    const { id, answered } = expectAnswer({
      answer: () => {
        throw bad;
      },
    });
    await answer(id);
    expect(await rejection(answered)).to.equal(bad);
  });

  it('ends a wait when its time is up, and leaves nothing behind', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const { id, answered } = expectAnswer({ timeoutMs: 100 });
    clock.tick(99);
    expect(inbox.has(id)).to.equal(true);
    clock.tick(1);
    expect((await rejection(answered)).message).to.equal('time is up');
    expect([inbox.size, clock.countTimers()]).to.deep.equal([0, 0]);
  });

  it('ends each wait at its own time, in whatever order they began', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const [long, short] = [expectAnswer({ timeoutMs: 300 }), expectAnswer({ timeoutMs: 100 })];
    clock.tick(100);
    expect((await rejection(short.answered)).message).to.equal('time is up');
    expect(inbox.has(long.id)).to.equal(true);
    clock.tick(200);
    expect((await rejection(long.answered)).message).to.equal('time is up');
  });

  it('ends a wait when its signal is aborted, with the reason, and takes its listener off', async () => {
    const giveUp = new AbortController();
    const add = sinon.spy(giveUp.signal, 'addEventListener');
    const remove = sinon.spy(giveUp.signal, 'removeEventListener');
    const waiting = rejection(expectAnswer({ signal: giveUp.signal }).answered);
    const reason = new Error('enough');
    giveUp.abort(reason);
    expect(await waiting).to.equal(reason);
    expect(remove.args.map(([type, listener]) => [type, listener])).to.deep.equal(
      add.args.map(([type, listener]) => [type, listener]),
    );
    expect(await rejection(expectAnswer({ signal: giveUp.signal }).answered)).to.equal(reason);
  });

  it('takes its listener off when the reply came, and keeps no process alive', async () => {
    const giveUp = new AbortController();
    const remove = sinon.spy(giveUp.signal, 'removeEventListener');
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    // Mocha's own timer begins after the first turn.
    await settled();
    const before = timers();
    const { id, answered } = expectAnswer({ signal: giveUp.signal });
    expect(timers()).to.equal(before + 1);
    await answer(id);
    await answered;
    sinon.assert.calledOnce(remove);
    expect(timers()).to.equal(before);
  });

  it('fails the wait for a request that came back, by its address', async () => {
    const to: Address = { kind: 'anycast', exchange: 'e', topic: 't' };
    const { id, answered } = expectAnswer();
    inbox.unroutable('other', to);
    expect(inbox.has(id)).to.equal(true);
    inbox.unroutable(id, to);
    expect(await rejection(answered)).to.include({ code: 'UNROUTABLE', address: to });
  });

  it('fails every wait when it is lost: unknown where written, not sent where not', async () => {
    const written = rejection(expectAnswer().answered);
    const unwritten = rejection(expectAnswer({ isWritten: () => false }).answered);
    const cause = new Error('reset');
    inbox.lose(cause);
    expect(await written).to.include({ code: 'UNKNOWN', cause });
    expect(await unwritten).to.include({ code: 'CONNECTION', cause });
    expect(inbox.size).to.equal(0);
  });

  it('subscribes again after its subscription failed', async () => {
    const failing = sinon.stub(driver, 'subscribe').rejects(new Error('not now'));
    expect((await rejection(inbox.address())).message).to.equal('not now');
    failing.restore();
    expect(await inbox.address()).to.be.a('string').and.not.empty;
  });

  it('fails every wait when it is closed, and takes no more', async () => {
    await inbox.address();
    const waiting = rejection(expectAnswer().answered);
    inbox.close();
    expect(await waiting).to.have.property('code', 'CLOSED');
    expect(await rejection(expectAnswer().answered)).to.have.property('code', 'CLOSED');
    expect(await rejection(inbox.address())).to.have.property('code', 'CLOSED');
  });
});
