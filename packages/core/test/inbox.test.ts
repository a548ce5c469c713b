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

  const expectation = (more: Partial<Expectation> = {}): Expectation => ({
    what: 'call x',
    timeoutMs: 10_000,
    timeoutError: () => new Error('time is up'),
    isWritten: () => true,
    ...more,
  });

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
    const waiting = ['a', 'b', 'c'].map((id) => inbox.expect(id, expectation()));
    for (const id of ['c', 'a', 'b']) await answer(id, id);
    const bodies = (await Promise.all(waiting)).map(({ body }: Message) => Buffer.from(body).toString());
    expect(bodies).to.deep.equal(['a', 'b', 'c']);
    expect(inbox.size).to.equal(0);
  });

  it('reports replies that nobody waits for, once too many included, and those it cannot tell apart', async () => {
    const waiting = inbox.expect('a', expectation());
    for (const id of ['a', 'a', 'b', 'unreadable']) await answer(id);
    await waiting;
    await settled();
    expect(unknown).to.deep.equal(['a', 'b', 'unreadable']);
  });

  it('keeps waiting after what is only in between', async () => {
    const bodies: string[] = [];
    const interim = ({ body }: Message): boolean => bodies.push(Buffer.from(body).toString()) < 3;
    const waiting = inbox.expect('a', expectation({ interim }));
    for (const body of ['beat', 'beat', 'result']) await answer('a', body);
    expect(Buffer.from((await waiting).body).toString()).to.equal('result');
    expect(bodies).to.deep.equal(['beat', 'beat', 'result']);
  });

  it('fails the wait for a reply that cannot be read', async () => {
    const bad = new Error('cannot read');
    const interim = (): boolean => {
      throw bad;
    };
    const waiting = rejection(inbox.expect('a', expectation({ interim })));
    await answer('a');
    expect(await waiting).to.equal(bad);
  });

  it('ends a wait when its time is up, and leaves nothing behind', async () => {
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const waiting = rejection(inbox.expect('a', expectation({ timeoutMs: 100 })));
    clock.tick(99);
    expect(inbox.has('a')).to.equal(true);
    clock.tick(1);
    expect((await waiting).message).to.equal('time is up');
    expect([inbox.size, clock.countTimers()]).to.deep.equal([0, 0]);
  });

  it('ends a wait when its signal is aborted, with the reason, and takes its listener off', async () => {
    const giveUp = new AbortController();
    const add = sinon.spy(giveUp.signal, 'addEventListener');
    const remove = sinon.spy(giveUp.signal, 'removeEventListener');
    const waiting = rejection(inbox.expect('a', expectation({ signal: giveUp.signal })));
    const reason = new Error('enough');
    giveUp.abort(reason);
    expect(await waiting).to.equal(reason);
    expect(remove.args.map(([type, listener]) => [type, listener])).to.deep.equal(
      add.args.map(([type, listener]) => [type, listener]),
    );
    expect(await rejection(inbox.expect('b', expectation({ signal: giveUp.signal })))).to.equal(reason);
  });

  it('takes its timer and its listener off when the reply came', async () => {
    const giveUp = new AbortController();
    const remove = sinon.spy(giveUp.signal, 'removeEventListener');
    const clock = sinon.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const waiting = inbox.expect('a', expectation({ signal: giveUp.signal }));
    await answer('a');
    await waiting;
    sinon.assert.calledOnce(remove);
    expect(clock.countTimers()).to.equal(0);
  });

  it('fails the wait for a request that came back, by its address', async () => {
    const to: Address = { kind: 'anycast', exchange: 'e', topic: 't' };
    const waiting = rejection(inbox.expect('a', expectation()));
    inbox.unroutable('other', to);
    expect(inbox.has('a')).to.equal(true);
    inbox.unroutable('a', to);
    expect(await waiting).to.include({ code: 'UNROUTABLE', address: to });
  });

  it('fails every wait when it is lost: unknown where written, not sent where not', async () => {
    const written = rejection(inbox.expect('a', expectation()));
    const unwritten = rejection(inbox.expect('b', expectation({ isWritten: () => false })));
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
    const waiting = rejection(inbox.expect('a', expectation()));
    inbox.close();
    expect(await waiting).to.have.property('code', 'CLOSED');
    expect(await rejection(inbox.expect('b', expectation()))).to.have.property('code', 'CLOSED');
    expect(await rejection(inbox.address())).to.have.property('code', 'CLOSED');
  });
});
