import { ConfigError, MalformedError, silent } from '@posthorn/core';
import { expect } from 'chai';
import { HANDLED, NotificationDispatcher, REQUEUE } from '../src/dispatcher.ts';
import type { Notification } from '../src/notification.ts';
import { notification, thrownBy } from './support.ts';

const dispatcher = (...endpoints: object[]): NotificationDispatcher => new NotificationDispatcher(endpoints, silent);

describe('a notification dispatcher', () => {
  it('knows the priorities that some endpoint has a method for', () => {
    class Endpoint {
      error(): void {}
    }
    expect(dispatcher({ info() {} }, new Endpoint()).priorities).to.deep.equal(['info', 'error']);
  });

  it('refuses an endpoint without a method', () => {
    const error = thrownBy(() => dispatcher({ info() {} }, { warning() {} }));
    expect(error).to.be.instanceOf(ConfigError).with.property('path', 'endpoints.1');
  });

  it('calls the method on its endpoint', async () => {
    class Endpoint {
      readonly seen: string[] = [];
      info({ eventType }: Notification): void {
        this.seen.push(eventType);
      }
    }
    const endpoint = new Endpoint();
    expect(await dispatcher(endpoint).dispatch(notification())).to.equal('accept');
    expect(endpoint.seen).to.deep.equal(['compute.instance.create.end']);
  });

  it('accepts what nobody wants, what is handled, and what was answered with nothing', async () => {
    for (const answer of [HANDLED, undefined])
      expect(await dispatcher({ info: () => answer }).dispatch(notification())).to.equal('accept');
    expect(await dispatcher({ error: () => REQUEUE }).dispatch(notification())).to.equal('accept');
    const filtered = { info: () => REQUEUE, filter: { eventType: 'other' } };
    expect(await dispatcher(filtered).dispatch(notification())).to.equal('accept');
  });

  it('releases with a reason what is asked for again or failed', async () => {
    expect(await dispatcher({ info: () => REQUEUE }).dispatch(notification())).to.deep.equal({
      outcome: 'release',
      reason: 'asked for again',
    });
    const failure = new Error('no');
    for (const info of [
      () => {
        throw failure;
      },
      () => Promise.reject(failure),
    ])
      expect(await dispatcher({ info }).dispatch(notification())).to.deep.equal({
        outcome: 'release',
        reason: failure,
      });
  });

  it('rejects one that is malformed, which no retry will mend, and releases a batch with such a one', async () => {
    const reason = new MalformedError('no id');
    const info = (): Promise<never> => Promise.reject(reason);
    expect(await dispatcher({ info }).dispatch(notification())).to.deep.equal({ outcome: 'reject', reason });
    const batch = [notification(), notification()];
    expect(await dispatcher({ info }).dispatchBatch('info', batch)).to.deep.equal({ outcome: 'release', reason });
  });

  it('hands an endpoint the part of a batch that its filter accepts, or does not ask it', async () => {
    const seen: string[] = [];
    const endpoint = (name: string, eventType: string) => ({
      info: (batch: readonly Notification[]) => void seen.push(`${name} ${batch.map((one) => one.eventType)}`),
      filter: { eventType },
    });
    const batch = ['a.1', 'b.1', 'a.2'].map((eventType) => notification({ eventType }));
    const all = dispatcher(endpoint('a', 'a'), endpoint('none', 'c'), endpoint('any', ''));
    expect(await all.dispatchBatch('info', batch)).to.equal('accept');
    expect(seen).to.deep.equal(['a a.1,a.2', 'any a.1,b.1,a.2']);
  });
});
