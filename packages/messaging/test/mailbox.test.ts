import { type Driver, memory, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { Mailbox, Subscriber } from '../src/index.ts';
import { open, thrownBy } from './support.ts';

describe('mailboxes', () => {
  it('M-07: where the driver cannot keep messages until they expire, both sides refuse at once', async () => {
    await using transport = await Transport.open(async (context) => {
      const driver = await memory(context);
      return new Proxy<Driver>(driver, {
        get: (target, name) => {
          const value = Reflect.get(target, name, target);
          if (name === 'features') return { ...target.features, keep: false };
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    });
    for (const refused of [
      () => new Mailbox(transport, { name: 'm', publisherId: 'p' }),
      () => new Subscriber(transport, { mailbox: 'm' }),
    ]) {
      const error = thrownBy(refused);
      expect(error).to.include({ code: 'UNSUPPORTED' });
      expect(error.message).to.match(/the memory transport does not support mailboxes/);
    }
  });

  it('names that are none, or patterns, and times that are none are refused', async () => {
    await using transport = await open();
    expect(() => new Mailbox(transport, { name: '', publisherId: 'p' })).to.throw(/mailbox must be a non-empty string/);
    expect(() => new Mailbox(transport, { name: 'a.*', publisherId: 'p' })).to.throw(/wildcards/);
    expect(() => new Mailbox(transport, { name: 'm', publisherId: '' })).to.throw(/publisherId/);
    expect(() => new Mailbox(transport, { name: 'm', publisherId: 'p', expiresMs: 0 })).to.throw(/expiresMs/);
    expect(() => new Subscriber(transport, { mailbox: 'a#' })).to.throw(/wildcards/);
  });
});
