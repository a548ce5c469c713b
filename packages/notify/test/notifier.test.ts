import { ConfigError, type Serializer } from '@posthorn/core';
import { expect } from 'chai';
import { log, Notifier, type NotifierOptions, noop, type Outlet, PRIORITIES, recording } from '../src/index.ts';
import { open, rejection, thrownBy } from './support.ts';

async function notifier(...outlets: Outlet[]): Promise<Notifier> {
  return new Notifier(await open(), { publisherId: 'p', outlets });
}

const failing = (name: string): Outlet => ({ name, notify: () => Promise.reject(new Error(`${name} failed`)) });

describe('a notifier', () => {
  it('has a method for each priority', async () => {
    const test = recording();
    const it = await notifier(test);
    for (const priority of PRIORITIES) await it[priority]({}, 'e', {});
    expect(test.notifications.map(({ priority }) => priority)).to.deep.equal(PRIORITIES);
  });

  it('gives every notification an id of its own, and each outlet the same one', async () => {
    const [one, two] = [recording(), recording()];
    const it = await notifier(one, two);
    for (let n = 0; n < 3; n++) await it.info({}, 'e', {});
    const ids = one.notifications.map(({ id }) => id);
    expect(new Set(ids).size).to.equal(3);
    expect(two.notifications.map(({ id }) => id)).to.deep.equal(ids);
  });

  it('lets no outlet see what another, or the caller later, does to a notification', async () => {
    const spoiling: Outlet = {
      name: 'spoiling',
      async notify(notification) {
        Object.assign(notification, { eventType: 'spoiled' });
        Object.assign(notification.context, { user_id: 'spoiled' });
        Object.assign((notification.payload as { list: object[] }).list[0] ?? {}, { spoiled: true });
        notification.timestamp.setTime(0);
      },
    };
    const [before, after] = [recording(), recording()];
    const it = await notifier(before, spoiling, after);
    const payload = { list: [{ n: 1 }], when: new Date(5) };
    await it.info({ user_id: 'alice' }, 'e', payload);
    expect(payload).to.deep.equal({ list: [{ n: 1 }], when: new Date(5) });
    payload.list.push({ n: 2 });
    payload.when.setTime(6);
    for (const { notifications } of [before, after]) {
      expect(notifications[0]).to.deep.include({
        eventType: 'e',
        context: { user_id: 'alice' },
        payload: { list: [{ n: 1 }], when: new Date(5) },
      });
      expect(notifications[0]?.timestamp.getTime()).to.be.above(0);
    }
  });

  it('gives outlets what JSON would write, also of objects with a form of their own', async () => {
    class Money {
      readonly #cents = 150;
      toJSON(): string {
        return `${this.#cents / 100} EUR`;
      }
    }
    const test = recording();
    const it = await notifier(test, noop());
    await it.info({}, 'e', { price: new Money() });
    expect(JSON.stringify(test.notifications[0]?.payload)).to.equal('{"price":"1.5 EUR"}');
  });

  it('tells every outlet, and rejects with the failure, or with all of them', async () => {
    const test = recording();
    const sync: Outlet = {
      name: 'sync',
      notify() {
        throw new Error('sync failed');
      },
    };
    expect(await rejection((await notifier(failing('a'), test)).info({}, 'e', {}))).to.include({ message: 'a failed' });
    const both = await rejection((await notifier(failing('a'), sync, test)).info({}, 'e', {}));
    expect(both).to.be.instanceOf(AggregateError).with.property('message', '2 outlets failed to notify e');
    expect((both as AggregateError).errors.map(String)).to.deep.equal(['Error: a failed', 'Error: sync failed']);
    expect(test.notifications).to.have.length(2);
  });

  it('sends the allowed entries of the context alone', async () => {
    const test = recording();
    const it = await notifier(test);
    const context = { user_id: 'u', auth_token: 'hunter2', tenant: 't' };
    await it.info(context, 'e', {});
    await it.prepare({ contextKeys: ['tenant'] }).info(context, 'e', {});
    expect(test.notifications.map((one) => one.context)).to.deep.equal([{ user_id: 'u' }, { tenant: 't' }]);
  });

  it('takes what the serializer makes, null and nothing included', async () => {
    const test = recording();
    const serializer: Serializer = {
      serializeContext: (context) => ({ ...context, user_id: 'serialised' }),
      serializeEntity: (context, entity) => (entity === 'secret' ? null : [context['user_id'], entity]),
    };
    const it = (await notifier(test)).prepare({ serializer });
    await it.info({}, 'e', 'secret');
    await it.info({}, 'e', 'entity');
    expect(test.notifications.map(({ payload }) => payload)).to.deep.equal([null, ['serialised', 'entity']]);
    expect(test.notifications[0]?.context).to.deep.equal({ user_id: 'serialised' });
  });

  it('prepares notifiers that differ in some options', async () => {
    const test = recording();
    const it = await notifier(test);
    await it.prepare({ publisherId: 'other' }).info({}, 'e', {});
    await it.info({}, 'e', {});
    expect(test.notifications.map(({ publisherId }) => publisherId)).to.deep.equal(['other', 'p']);
  });

  it('refuses what is wrong at once', async () => {
    await using transport = await open();
    const make = (options: Partial<NotifierOptions>) => () => new Notifier(transport, { publisherId: 'p', ...options });
    expect(thrownBy(make({ publisherId: '' }))).to.be.instanceOf(ConfigError);
    expect(thrownBy(make({ topics: [] }))).to.be.instanceOf(ConfigError);
    expect(thrownBy(make({ topics: ['a.#'] }))).to.include({ code: 'INVALID_TARGET' });
    expect(await rejection(make({})().info({}, '', {}))).to.be.instanceOf(ConfigError);
  });
});

describe('the log outlet', () => {
  it('writes a record at the level of the priority, secrets masked', async () => {
    const lines: { level: string; fields: object; message: string | undefined }[] = [];
    const at = (level: string) => (fields: object, message?: string) => void lines.push({ level, fields, message });
    const it = await notifier(log({ debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }));
    for (const priority of PRIORITIES) await it.notify(priority, {}, `e.${priority}`, { password: 'hunter2', n: 1 });
    expect(lines.map(({ level, message }) => `${level} ${message}`)).to.deep.equal([
      ...['debug e.debug', 'info e.info', 'warn e.warn', 'error e.error', 'error e.critical'],
      ...['info e.audit', 'info e.sample'],
    ]);
    expect(JSON.stringify(lines)).not.to.include('hunter2');
    expect(lines[0]?.fields)
      .to.have.nested.property('notification.payload')
      .that.deep.equals({ password: '***', n: 1 });
  });
});
