import { DeadLetters, newId, serial, type Transport } from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { Notifier } from '@posthorn/notify';
import { expect } from 'chai';
import { contractListener, contractNotifier, messagesOf } from '../src/index.ts';
import { Compute, open, rejection, untyped } from './support.ts';

const PUBLISHER = { publisherId: 'compute.host1' };

describe('typed notifications', () => {
  let transport: Transport;

  beforeEach(async () => {
    transport = await open();
  });

  afterEach(() => transport.close());

  it('arrive with the priority of their event, and the defaults of their schema', async () => {
    const told = new Promise<readonly unknown[]>((resolve) => {
      const seen: unknown[] = [];
      const note = (...what: readonly unknown[]): void => {
        seen.push(...what);
        if (seen.length === 5) resolve(seen);
      };
      contractListener(transport, Compute, {
        on: {
          'instance.create.end': ({ id, tags }, { priority, publisherId }) =>
            note(id, tags.length, priority, publisherId),
          'instance.create.error': ({ reason }) => note(reason),
        },
      }).start();
    });
    const notifier = contractNotifier(transport, Compute, PUBLISHER);
    await notifier.notify({}, 'instance.create.end', { id: 'i-1' });
    await notifier.notify({}, 'instance.create.error', { id: 'i-2', reason: 'no host' });
    expect(await told).to.deep.equal(['i-1', 0, 'info', 'compute.host1', 'no host']);
  });

  it('do not compile where the payload is of another type, nor where there is no such event', async () => {
    const notifier = contractNotifier(transport, Compute, { ...PUBLISHER, validate: 'all' });
    // @ts-expect-error: the id is a text
    const error = await rejection(notifier.notify({}, 'instance.create.end', { id: 7 }));
    expect(error).to.have.property('code', 'MALFORMED');
    expect(error.message).to.match(/^instance\.create\.end\.id: /);
    // @ts-expect-error: there is no such event
    await notifier.notify({}, 'instance.delete.end', { id: 'i-1' });
    // @ts-expect-error: it has no such member
    contractListener(transport, Compute, { on: { 'instance.create.end': ({ state }) => void state } });
  });

  it('are dead letters at once, saying why, where the payload does not follow the contract', async () => {
    const pool = newId();
    const handled: string[] = [];
    await contractListener(transport, Compute, {
      pool,
      executor: serial(),
      on: {
        'instance.create.end': ({ id }) => {
          handled.push(id);
          last();
        },
      },
    }).start();
    let last = (): void => {};
    const done = new Promise<void>((resolve) => {
      last = resolve;
    });
    const plain = new Notifier(transport, PUBLISHER);
    await plain.info({}, 'instance.create.end', { id: 7 });
    await plain.info({}, 'instance.resize', { anything: 'else' });
    await plain.info({}, 'instance.create.end', { id: 'i-1' });
    await done;
    expect(handled).to.deep.equal(['i-1']);
    const letters = await new DeadLetters(transport, pool).list();
    expect(letters.map(({ attempts }) => attempts)).to.deep.equal([1]);
    expect(letters[0]?.reason).to.match(/instance\.create\.end\.id: /);
  });

  it('pass unchecked where nobody is to check', async () => {
    const got = new Promise((resolve) => {
      contractListener(transport, Compute, {
        validate: 'none',
        targets: [{ topic: 'elsewhere' }],
        on: { 'instance.create.end': resolve },
      }).start();
    });
    const notifier = contractNotifier(transport, Compute, { ...PUBLISHER, topics: ['elsewhere'] });
    await notifier.notify({}, 'instance.create.end', untyped({ anything: 'goes' }));
    expect(await got).to.deep.equal({ anything: 'goes' });
  });

  it('are typed messages as well, for publishers and subscribers', async () => {
    const exchange = newId();
    const messages = messagesOf(Compute);
    const created = messages['instance.create.end'];
    expect(created).to.include({ type: 'instance.create.end', version: '1.2' });
    const subscriber = new Subscriber(transport, { exchange });
    const got = new Promise<readonly string[]>((resolve) => {
      subscriber.on(created, ({ id, tags }) => resolve([id, ...tags]));
    });
    await subscriber.start();
    const publisher = new Publisher(transport, { exchange, ...PUBLISHER });
    await publisher.publish(created, { id: 'i-1' });
    expect(await got).to.deep.equal(['i-1']);
    // @ts-expect-error: the id is a text
    expect(await rejection(publisher.publish(created, { id: 7 }))).to.have.property('code', 'MALFORMED');
  });
});
