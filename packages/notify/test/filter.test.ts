import { expect } from 'chai';
import { accepts, type NotificationFilter } from '../src/filter.ts';
import { notification } from './support.ts';

const CASES: readonly { filter: NotificationFilter | undefined; accepted: boolean; why: string }[] = [
  { filter: undefined, accepted: true, why: 'no filter' },
  { filter: {}, accepted: true, why: 'an empty filter' },
  { filter: { publisherId: 'compute' }, accepted: true, why: 'the beginning of a text' },
  {
    filter: { publisherId: 'host1' },
    accepted: false,
    why: 'another part of a text: patterns are anchored at the start',
  },
  { filter: { publisherId: /host1$/ }, accepted: false, why: 'a RegExp, anchored likewise' },
  { filter: { eventType: 'volume|compute' }, accepted: true, why: 'alternatives, anchored as a whole' },
  { filter: { eventType: 'volume|instance' }, accepted: false, why: 'an alternative in the middle' },
  { filter: { publisherId: /^COMPUTE/i }, accepted: true, why: 'the flags of a RegExp' },
  { filter: { context: { user_id: 'al' } }, accepted: true, why: 'a key of the context' },
  { filter: { context: { project_id: '.*' } }, accepted: false, why: 'a missing key' },
  { filter: { context: { toString: '.*' } }, accepted: false, why: 'a key that every object inherits' },
  { filter: { payload: { state: 'active', id: '12' } }, accepted: false, why: 'a value that is no text' },
  { filter: { metadata: { message_id: '3cf2', timestamp: '2026-11-20T22:13' } }, accepted: true, why: 'metadata' },
  { filter: { publisherId: 'compute', payload: { state: 'error' } }, accepted: false, why: 'one rule of two' },
];

describe('a notification filter', () => {
  for (const { filter, accepted, why } of CASES)
    it(`${accepted ? 'accepts' : 'refuses'}: ${why}`, () => {
      expect(accepts(filter)(notification())).to.equal(accepted);
    });

  it('refuses payloads that are no objects, and does not fail at them', () => {
    for (const payload of [null, undefined, 'state', 7])
      expect(accepts({ payload: { state: 'active' } })(notification({ payload })), String(payload)).to.equal(false);
  });

  it('has no memory: a global RegExp accepts the same text twice', () => {
    const accept = accepts({ publisherId: /compute/g });
    expect([accept(notification()), accept(notification())]).to.deep.equal([true, true]);
  });
});
