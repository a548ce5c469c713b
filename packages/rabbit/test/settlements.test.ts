import { type DriverContext, silent } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import type { Settling } from '../src/batch.ts';
import type { Link } from '../src/link.ts';
import { Settlements } from '../src/settlements.ts';

/** A link whose batch leaves when told to. */
function fakeLink(): { readonly link: Link; readonly frames: string[]; leave(): void; state: { down?: Error } } {
  const frames: string[] = [];
  let enlisted: Settling[] = [];
  const state: { down?: Error } = {};
  const batch = {
    ack: (_channel: number, tag: number, multiple: boolean) => frames.push(`ack ${multiple ? '..' : ''}${tag}`),
    nack: (_channel: number, tag: number, requeue: boolean) => frames.push(`${requeue ? 'release' : 'reject'} ${tag}`),
    enlist: (one: Settling) => enlisted.push(one),
    onWritten: (tell: (written: boolean) => void) => tell(true),
  };
  const link = {
    batch,
    get down() {
      return state.down;
    },
  } as unknown as Link;
  const leave = (): void => {
    const all = enlisted;
    enlisted = [];
    for (const one of all) one.writeSettlements();
  };
  return { link, frames, leave, state };
}

describe('settlements', () => {
  let late: number;
  const context: DriverContext = {
    logger: silent,
    onStatus: () => {},
    onReturned: () => {},
    onLost: () => {},
    onLateSettle: () => {
      late++;
    },
  };

  beforeEach(() => {
    late = 0;
  });

  it('acknowledge what was accepted in one turn with one frame', async () => {
    const { link, frames, leave } = fakeLink();
    const settlements = new Settlements(link, 1, context);
    const results = [1, 2, 3].map((tag) => settlements.settle(tag, 'accept'));
    expect(frames).to.deep.equal([]);
    leave();
    expect(frames).to.deep.equal(['ack ..3']);
    expect(await Promise.all(results)).to.deep.equal([true, true, true]);
  });

  it('acknowledge one by one what has something unsettled before it', () => {
    const { link, frames, leave } = fakeLink();
    const settlements = new Settlements(link, 1, context);
    for (const tag of [1, 2, 4, 6]) void settlements.settle(tag, 'accept');
    leave();
    expect(frames).to.deep.equal(['ack ..2', 'ack 4', 'ack 6']);
    for (const tag of [3, 5]) void settlements.settle(tag, 'accept');
    leave();
    expect(frames.slice(3)).to.deep.equal(['ack ..5']);
  });

  it('never accept what was released or rejected', () => {
    const { link, frames, leave } = fakeLink();
    const settlements = new Settlements(link, 1, context);
    void settlements.settle(2, 'release');
    void settlements.settle(1, 'accept');
    void settlements.settle(3, 'reject');
    void settlements.settle(4, 'accept');
    leave();
    expect(frames).to.deep.equal(['release 2', 'reject 3', 'ack ..4']);
  });

  it('say false, count it, and write nothing, once the channel or the link is gone', async () => {
    const { link, frames, leave, state } = fakeLink();
    const settlements = new Settlements(link, 1, context);
    const early = settlements.settle(1, 'accept');
    settlements.close();
    leave();
    expect([await early, await settlements.settle(2, 'accept')]).to.deep.equal([false, false]);
    const others = new Settlements(link, 2, context);
    state.down = new Error('reset');
    expect(await others.settle(1, 'accept')).to.equal(false);
    expect(late).to.equal(2);
    expect(frames).to.deep.equal([]);
  });

  it('settle each delivery once, and no other, in whatever order and turns', () => {
    const ends = fc.array(fc.constantFrom('accept', 'release', 'reject', 'hold'), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(ends, fc.infiniteStream(fc.nat(1_000)), fc.infiniteStream(fc.boolean()), (outcomes, ranks, turns) => {
        const { link, frames, leave } = fakeLink();
        const settlements = new Settlements(link, 1, context);
        const order = outcomes
          .map((outcome, index) => ({ outcome, tag: index + 1, rank: ranks.next().value ?? 0 }))
          .filter(({ outcome }) => outcome !== 'hold')
          .sort((one, other) => one.rank - other.rank);
        for (const { outcome, tag } of order) {
          if (outcome !== 'hold') void settlements.settle(tag, outcome);
          if (turns.next().value) leave();
        }
        leave();
        expect(brokersView(frames, outcomes.length)).to.deep.equal(outcomes);
      }),
    );
  });
});

/**
 * What RabbitMQ makes of the frames: `hold` is what is still unsettled. A tag that is settled already is a protocol
 * error, also one up to which all are acknowledged.
 */
function brokersView(frames: readonly string[], count: number): string[] {
  const ends: string[] = Array.from({ length: count }, () => 'hold');
  for (const frame of frames) {
    const [what = '', tags = ''] = frame.split(' ');
    const tag = Number(tags.replace('..', ''));
    if (ends[tag - 1] !== 'hold') throw new Error(`${tag} is settled twice: ${frames.join(', ')}`);
    if (tags.startsWith('..')) {
      for (let each = 0; each < tag; each++) if (ends[each] === 'hold') ends[each] = 'accept';
    } else ends[tag - 1] = what === 'ack' ? 'accept' : what;
  }
  return ends;
}
