import { ConfigError, MemoryFaults, newId, type Serializer, serial, TargetError } from '@posthorn/core';
import { expect } from 'chai';
import {
  type Notification,
  NotificationListener,
  type NotificationListenerOptions,
  Notifier,
  type PRIORITIES,
} from '../src/index.ts';
import { open, thrownBy } from './support.ts';

/** Each notification as it comes. */
function box(): { readonly info: (notification: Notification) => void; next(): Promise<Notification> } {
  const arrived: Notification[] = [];
  const waiting: ((notification: Notification) => void)[] = [];
  return {
    info(notification) {
      const go = waiting.shift();
      if (go === undefined) arrived.push(notification);
      else go(notification);
    },
    next() {
      const there = arrived.shift();
      return there === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(there);
    },
  };
}

const targets = [{ topic: 't' }];

describe('a notification listener', () => {
  it('R-18: what it held when its connection was lost comes again, and is handled once it is done', async () => {
    const name = newId();
    const faults = new MemoryFaults();
    await using dying = await open(name, faults);
    await using transport = await open(name);
    const [first, second] = [box(), box()];
    const hang = (notification: Notification): Promise<never> => {
      first.info(notification);
      return new Promise(() => undefined);
    };
    await new NotificationListener(dying, { targets, endpoints: [{ info: hang }] }).start();
    await new Notifier(transport, { publisherId: 'p', topics: ['t'] }).info({}, 'e', {});
    const { id } = await first.next();
    await new NotificationListener(transport, { targets, endpoints: [{ info: second.info }] }).start();
    faults.disconnect();
    expect((await second.next()).id).to.equal(id);
    void dying.close({ timeoutMs: 1 });
  });

  it('R-18: what a faulty network delivered twice is handled once', async () => {
    const faults = new MemoryFaults();
    await using transport = await open(undefined, faults);
    const heard = box();
    await new NotificationListener(transport, {
      targets,
      endpoints: [{ info: heard.info }],
      executor: serial(),
    }).start();
    const notifier = new Notifier(transport, { publisherId: 'p', topics: ['t'] });
    faults.nextSends('duplicate');
    await notifier.info({}, 'twice', {});
    await notifier.info({}, 'fence', {});
    expect([(await heard.next()).eventType, (await heard.next()).eventType]).to.deep.equal(['twice', 'fence']);
  });

  it('R-18: what is delivered again while it is handled is handled once, and by another where its handler dies', async () => {
    const name = newId();
    const [faults, cuts] = [new MemoryFaults(), new MemoryFaults()];
    await using transport = await open(name, faults);
    await using dying = await open(name, cuts);
    const [first, second] = [box(), box()];
    const hang = (notification: Notification): Promise<never> => {
      first.info(notification);
      return new Promise(() => undefined);
    };
    await new NotificationListener(dying, { targets, endpoints: [{ info: hang }] }).start();
    const notifier = new Notifier(transport, { publisherId: 'p', topics: ['t'] });
    faults.nextSends('duplicate');
    for (const event of ['twice', 'fence']) await notifier.info({}, event, {});
    expect([(await first.next()).eventType, (await first.next()).eventType]).to.deep.equal(['twice', 'fence']);
    await new NotificationListener(transport, { targets, endpoints: [{ info: second.info }] }).start();
    cuts.disconnect();
    const came = [(await second.next()).eventType, (await second.next()).eventType];
    expect(came.sort()).to.deep.equal(['fence', 'twice']);
    void dying.close({ timeoutMs: 1 });
  });

  it('hands over what the serializer makes, null included', async () => {
    await using transport = await open();
    const serializer: Serializer = {
      deserializeContext: (context) => ({ ...context, restored: true }),
      deserializeEntity: (context, entity) => (entity === 'nothing' ? null : [context['restored'], entity]),
    };
    const heard = box();
    await new NotificationListener(transport, { targets, endpoints: [{ info: heard.info }], serializer }).start();
    const notifier = new Notifier(transport, { publisherId: 'p', topics: ['t'] });
    for (const payload of ['nothing', 'something']) await notifier.info({}, 'e', payload);
    expect((await heard.next()).payload).to.equal(null);
    expect(await heard.next()).to.deep.include({ payload: [true, 'something'], context: { restored: true } });
  });

  it('pauses and resumes', async () => {
    await using transport = await open();
    const heard = box();
    const listener = new NotificationListener(transport, { targets, endpoints: [{ info: heard.info }] });
    await listener.start();
    await listener.pause();
    const notifier = new Notifier(transport, { publisherId: 'p', topics: ['t'] });
    await notifier.info({}, 'while paused', {});
    const other = box();
    await using standIn = await new NotificationListener(transport, {
      targets,
      endpoints: [{ info: other.info }],
    }).start();
    expect((await other.next()).eventType).to.equal('while paused');
    await standIn.close();
    await notifier.info({}, 'later', {});
    await listener.resume();
    expect((await heard.next()).eventType).to.equal('later');
  });

  it('refuses what is wrong at once', async () => {
    await using transport = await open();
    const make =
      (options: Partial<NotificationListenerOptions> | { batch: { size: number; maxAgeMs: number } }) => (): unknown =>
        new NotificationListener(transport, {
          targets,
          endpoints: [{ info() {} }],
          ...options,
        } as NotificationListenerOptions);
    expect(thrownBy(make({ targets: [] }))).to.be.instanceOf(TargetError);
    expect(thrownBy(make({ targets: [{ topic: '*' }] }))).to.be.instanceOf(TargetError);
    expect(thrownBy(make({ endpoints: [] }))).to.be.instanceOf(ConfigError);
    expect(thrownBy(make({ batch: { size: 0, maxAgeMs: 1 } }))).to.have.property('path', 'batch.size');
    expect(thrownBy(make({ batch: { size: 1, maxAgeMs: 0 } }))).to.have.property('path', 'batch.maxAgeMs');
    const iterated = (priorities: readonly string[]) => () =>
      new NotificationListener(transport, { targets, priorities: priorities as typeof PRIORITIES });
    expect(thrownBy(iterated([]))).to.have.property('path', 'priorities');
    expect(thrownBy(iterated(['warning']))).to.have.property('path', 'priorities');
  });
});
