import type { Driver, Message } from '@posthorn/core';
import { expect } from 'chai';
import type { Amqp1Topology } from '../src/index.ts';
import { outcomeOf, ScriptedPeer, until } from './scripted-peer.ts';

const to = { kind: 'anycast', exchange: 'e', topic: 't' } as const;
const message: Message = { body: Buffer.from('"text"') };

/** A topology as a wire may have it: another address, and messages that are settled when they are written. */
const settled: Amqp1Topology = ({ name }, vhost) => ({
  name: `settled on ${name}`,
  body: 'string',
  route: () => ({ address: `elsewhere ${vhost}`, settled: true }),
});

describe('messages that are settled when they are written', () => {
  let peer: ScriptedPeer;
  let driver: Driver;

  before(async () => {
    // It tells no outcome of anything.
    peer = await ScriptedPeer.open({ product: 'some broker', onMessage: () => {} });
    driver = await peer.driver({ window: 2 });
  });

  after(async () => {
    await peer?.[Symbol.asyncDispose]();
  });

  it('tell their peer so, and count as taken at once, also where a confirmation is asked for', async () => {
    const view = driver.view?.(settled);
    for (const confirm of [true, false]) await view?.send(to, message, { confirm });
    await until('both', () => peer.messages.length === 2);
    for (const { delivery, message: got, receiver } of peer.messages) {
      expect(delivery?.remote_settled).to.equal(true);
      expect(got?.body).to.equal('"text"');
      expect(receiver?.target.address).to.equal('elsewhere undefined');
    }
  });

  it('take no part in the window, nor in those that are not settled', async () => {
    const view = driver.view?.(settled);
    const before = peer.messages.length;
    await Promise.all(Array.from({ length: 50 }, () => view?.send(to, message, { confirm: true })));
    await until('all', () => peer.messages.length === before + 50);
    expect(await outcomeOf(driver.send(to, message, { confirm: true, timeoutMs: 500 }))).to.equal('UNKNOWN');
  });

  it('leave the driver itself as it was', async () => {
    expect([driver.product, driver.view?.(settled).product]).to.deep.equal(['some broker', 'some broker']);
    expect(() => driver.view?.({})).to.throw('wire.topology.amqp1');
    const { length } = peer.messages;
    await driver.send(to, message);
    await until('it', () => peer.messages.length > length);
    expect(peer.messages.at(-1)?.receiver?.target.address).to.equal('e/t');
    expect(peer.messages.at(-1)?.delivery?.remote_settled).to.equal(false);
  });
});
