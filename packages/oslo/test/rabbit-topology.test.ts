import { type Address, type Source, TargetError, UnsupportedError } from '@posthorn/core';
import { expect } from 'chai';
import { type OsloTopologyOptions, osloTopology } from '../src/rabbit-topology.ts';

const topology = (options: Partial<OsloTopologyOptions> = {}) =>
  osloTopology({
    durability: 'transient',
    transientQuorum: false,
    autoDelete: false,
    transientExpiresMs: 1_800_000,
    strict: false,
    ...options,
  });

const ANY: Address & Source = { kind: 'anycast', exchange: 'nova', topic: 'compute' };
const ONE: Address & Source = { kind: 'unicast', exchange: 'nova', topic: 'compute', server: 'host1' };
const ALL: Address & Source = { kind: 'multicast', exchange: 'nova', topic: 'compute' };

describe("oslo.messaging's topology", () => {
  it('acknowledges replies when it is to do all that Python does', () => {
    expect(topology({ strict: true }).acknowledgesReplies).to.equal(true);
    expect(topology().acknowledgesReplies).to.equal(false);
  });

  it('routes by the names that Python has', () => {
    const { route } = topology();
    const nova = { name: 'nova', type: 'topic', durable: false, autoDelete: false };
    expect(route(ANY)).to.deep.equal({ exchange: nova, key: 'compute' });
    expect(route(ONE)).to.deep.equal({ exchange: nova, key: 'compute.host1' });
    const fanout = { name: 'compute_fanout', type: 'fanout', durable: false, autoDelete: true };
    expect(route(ALL)).to.deep.equal({ exchange: fanout, key: '' });
    expect(route({ kind: 'reply', name: 'reply_1' })).to.deep.equal({ exchange: undefined, key: 'reply_1' });
  });

  it('has transient shared queues by default', () => {
    for (const [source, name] of [
      [ANY, 'compute'],
      [ONE, 'compute.host1'],
    ] as const) {
      const { queue, bindings } = topology().intake([source], {});
      expect(queue).to.deep.equal({
        name,
        durable: false,
        exclusive: false,
        autoDelete: false,
        arguments: {},
        onClose: 'keep',
      });
      expect(bindings).to.deep.equal([topology().route(source)]);
    }
  });

  it('has durable and quorum queues and exchanges on demand, and nothing else becomes durable', () => {
    for (const [durability, args] of [
      ['durable', {}],
      ['quorum', { 'x-queue-type': 'quorum' }],
    ] as const) {
      const { queue, bindings } = topology({ durability }).intake([ANY], {});
      expect(queue).to.deep.include({ durable: true, arguments: args });
      expect(bindings[0]?.exchange.durable).to.equal(true);
      for (const source of [ALL, { kind: 'reply' }] as const) {
        const made = topology({ durability }).intake([source], {});
        expect(made.queue).to.deep.include({ durable: false, arguments: { 'x-expires': 1_800_000 } });
        expect(made.bindings.every(({ exchange }) => !exchange.durable)).to.equal(true);
      }
    }
  });

  it('has fanout and reply queues of fresh names that expire', () => {
    const { intake } = topology();
    const [fanout, reply] = [intake([ALL], {}), intake([{ kind: 'reply' }], {})];
    expect(fanout.queue.name).to.match(/^compute_fanout_[0-9a-f]{32}$/);
    expect(reply.queue.name).to.match(/^reply_[0-9a-f]{32}$/);
    expect(fanout.bindings.map(({ exchange, key }) => [exchange.name, key])).to.deep.equal([
      ['compute_fanout', 'compute'],
    ]);
    expect(reply.bindings).to.deep.equal([]);
    expect(intake([{ kind: 'reply' }], {}).queue.name).to.not.equal(reply.queue.name);
    expect(topology({ transientExpiresMs: 0 }).intake([ALL], {}).queue.arguments).to.deep.equal({});
  });

  it('has them as quorum queues on demand, with a durable fanout exchange', () => {
    const { intake } = topology({ transientQuorum: true });
    const { queue, bindings } = intake([ALL], {});
    expect(queue).to.deep.include({ durable: true, arguments: { 'x-queue-type': 'quorum', 'x-expires': 1_800_000 } });
    expect(bindings[0]?.exchange).to.deep.include({ durable: true, autoDelete: true });
  });

  it('deletes shared queues and their exchange when unused, on demand', () => {
    const { queue, bindings } = topology({ autoDelete: true }).intake([ANY], {});
    expect([queue.autoDelete, bindings[0]?.exchange.autoDelete]).to.deep.equal([true, true]);
    expect(topology({ autoDelete: true }).intake([ALL], {}).queue.autoDelete).to.equal(false);
  });

  it('names the queue of a pool after the pool, bound to all that it listens to', () => {
    const from = ['info', 'error'].map((key) => ({ kind: 'topic', exchange: 'nova', pattern: `n.${key}` }) as const);
    const { queue, bindings } = topology().intake(from, { group: 'pool' });
    expect(queue.name).to.equal('pool');
    expect(bindings.map(({ key }) => key)).to.deep.equal(['n.info', 'n.error']);
  });

  it('keeps messages in the queue that a server will read', () => {
    for (const address of [ANY, ONE] as const)
      expect(topology().kept(address)).to.deep.equal(topology().intake([address], {}));
    expect(topology().kept({ kind: 'topic', exchange: 'nova', key: 'n.info' })).to.deep.equal(
      topology().intake([{ kind: 'topic', exchange: 'nova', pattern: 'n.info' }], {}),
    );
  });

  it('cannot keep what goes to many or to a caller, nor listen to nothing', () => {
    expect(() => topology().kept(ALL)).to.throw(UnsupportedError);
    expect(() => topology().kept({ kind: 'reply', name: 'r' })).to.throw(UnsupportedError);
    expect(() => topology().intake([], {})).to.throw(TargetError);
  });

  it('marks every message as persistent, with priority 0', () => {
    expect(topology()).to.include({ persistent: true, priority: 0 });
  });
});
