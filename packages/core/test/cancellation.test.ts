import { expect } from 'chai';
import { Cancellation } from '../src/cancellation.ts';

describe('a cancellation', () => {
  it('aborts a signal that was looked at before, with its reason', () => {
    const cancellation = new Cancellation();
    const { signal } = cancellation;
    expect([signal.aborted, cancellation.cancelled]).to.deep.equal([false, false]);
    const reason = new Error('enough');
    cancellation.cancel(reason);
    expect([signal.aborted, signal.reason, cancellation.cancelled]).to.deep.equal([true, reason, true]);
  });

  it('is seen by a signal that is looked at afterwards', () => {
    const cancellation = new Cancellation();
    cancellation.cancel('why');
    expect([cancellation.signal.aborted, cancellation.signal.reason]).to.deep.equal([true, 'why']);
  });

  it('keeps its first reason', () => {
    const cancellation = new Cancellation();
    cancellation.cancel('first');
    cancellation.cancel('second');
    expect(cancellation.signal.reason).to.equal('first');
  });

  it('tells its signal once', () => {
    const cancellation = new Cancellation();
    let told = 0;
    cancellation.signal.addEventListener('abort', () => told++);
    cancellation.cancel('first');
    cancellation.cancel('second');
    expect([told, cancellation.signal]).to.deep.equal([1, cancellation.signal]);
  });
});
