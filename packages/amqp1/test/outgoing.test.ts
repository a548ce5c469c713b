import { expect } from 'chai';
import { readHotFrame } from '../src/frames.ts';
import { Outgoing } from '../src/outgoing.ts';

const ACCEPTED = 'accepted';

/** A session of 100 messages whose frames are collected, with a link that has credit. */
function session({ window = 100, credit = 100, max_frame_size = 512 } = {}) {
  const written: { id: number | undefined; more: boolean; bytes: number }[] = [];
  const socket = {
    write(bytes: Buffer) {
      const frame = readHotFrame(bytes, 0, bytes.length);
      if (frame?.type !== 'transfer') throw new Error('no transfer');
      const { delivery_id, more } = frame.performative;
      expect(bytes.length).to.be.at.most(max_frame_size);
      written.push({ id: delivery_id, more, bytes: frame.payload.length });
    },
  };
  const outgoing = new Outgoing({ socket, max_frame_size }, 1, 100, (state) =>
    state === ACCEPTED ? { outcome: 'accepted', error: undefined } : undefined,
  );
  outgoing.on_begin({ incoming_window: window });
  const link = { credit, delivery_count: 0, local: { handle: 0, attach: {} } };
  const ended: number[] = [];
  const send = (size = 1, settled = false): number => {
    const id = outgoing.transfer(link, Buffer.alloc(size), settled, () => ended.push(id));
    return id;
  };
  return { outgoing, link, written, ended, send, ids: () => written.map(({ id }) => id) };
}

describe('the sending half of a session', () => {
  it('writes a message that is longer than a frame in parts', () => {
    const { send, written, link } = session();
    send(1_000);
    expect(written.map(({ more }) => more)).to.deep.equal([true, true, false]);
    expect(written.reduce((sum, { bytes }) => sum + bytes, 0)).to.equal(1_000);
    expect([link.credit, link.delivery_count]).to.deep.equal([99, 1]);
  });

  it('waits with the rest of a message for the window, and with all after it', () => {
    const { outgoing, link, send, written, ids } = session({ window: 2 });
    const [first, second] = [send(1_000), send()];
    expect(ids()).to.deep.equal([first, first]);
    expect(outgoing.roomFor(link)).to.equal(0);
    outgoing.on_flow({ next_incoming_id: 2, incoming_window: 2 });
    outgoing.process();
    expect(ids()).to.deep.equal([first, first, first, second]);
    expect(written.map(({ more }) => more)).to.deep.equal([true, true, false, false]);
  });

  it('counts what is under way against the window that the peer tells', () => {
    const { outgoing, link, send } = session({ window: 10 });
    for (let left = 4; left > 0; left--) send();
    expect(outgoing.roomFor(link)).to.equal(6);
    // It had seen three of them.
    outgoing.on_flow({ next_incoming_id: 3, incoming_window: 10 });
    expect(outgoing.roomFor(link)).to.equal(9);
  });

  it('has room for no more messages than the link has credit for', () => {
    const { outgoing, link, send } = session({ credit: 2 });
    send();
    expect(outgoing.roomFor(link)).to.equal(1);
    send();
    expect(outgoing.roomFor(link)).to.equal(0);
  });

  it('tells the end of each of a range of messages, once', () => {
    const { outgoing, send, ended } = session();
    for (let left = 5; left > 0; left--) send();
    outgoing.on_disposition({ first: 1, last: 3, state: ACCEPTED });
    outgoing.on_disposition({ first: 1, last: 3, settled: true });
    expect(ended).to.deep.equal([1, 2, 3]);
    outgoing.on_disposition({ first: 0, last: 0xffff_fff0, settled: true });
    expect(ended).to.deep.equal([1, 2, 3, 0, 4]);
  });

  it('waits on where the peer tells a state that is no outcome', () => {
    const { outgoing, send, ended } = session();
    send();
    outgoing.on_disposition({ first: 0, state: 'received' });
    expect(ended).to.deep.equal([]);
    outgoing.on_disposition({ first: 0, state: ACCEPTED });
    expect(ended).to.deep.equal([0]);
  });

  it('tells no end of messages that are settled or forgotten, which take no room', () => {
    const { outgoing, send, ended } = session();
    send(1, true);
    outgoing.forget(send());
    expect(outgoing.available()).to.equal(100);
    outgoing.on_disposition({ first: 0, last: 1, state: ACCEPTED, settled: true });
    expect(ended).to.deep.equal([]);
  });
});
