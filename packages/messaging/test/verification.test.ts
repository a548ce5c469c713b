import { expect } from 'chai';
import sinon from 'sinon';
import type { Envelope } from '../src/envelope.ts';
import { type IdStore, memoryIdStore } from '../src/id-store.ts';
import { hmacSha256 } from '../src/signer.ts';
import { sign } from '../src/signing.ts';
import { type RefusalReason, Verification, type VerificationOptions } from '../src/verification.ts';
import { ENVELOPE, envelope, PLACE, rejection, thrownBy } from './support.ts';

const keys = { a: 'the secret of the first', b: 'the secret of the second' };
const signer = hmacSha256({ keys, signWith: 'a' });
const NOW = Date.parse(ENVELOPE.timestamp);
const MINUTE = 60_000;

function verification(options: Partial<VerificationOptions> = {}, group = 'group'): Verification {
  return new Verification({ verifier: signer, ...options }, group);
}

function signed(more: Partial<Envelope> = {}): Envelope {
  return sign(envelope(more), PLACE, signer);
}

const at = (time: number): string => new Date(time).toISOString();

describe('verification', () => {
  let clock: sinon.SinonFakeTimers;
  beforeEach(() => {
    clock = sinon.useFakeTimers({ now: NOW, toFake: ['Date'] });
  });
  afterEach(() => clock.restore());

  async function refused(
    by: Verification,
    message: Envelope,
    reason: RefusalReason,
    place: typeof PLACE = PLACE,
  ): Promise<void> {
    const before = { ...by.refused };
    expect(await by.check(message, place)).to.have.property('reason', reason);
    expect(by.refused).to.deep.equal({ ...before, [reason]: before[reason] + 1 });
  }

  async function passed(by: Verification, message: Envelope): Promise<void> {
    const before = { ...by.refused };
    expect(await by.check(message, PLACE)).to.equal(undefined);
    expect(by.refused).to.deep.equal(before);
  }

  it('passes what a known key signed, there', async () => {
    const by = verification();
    await passed(by, signed());
    await passed(by, sign(ENVELOPE, PLACE, hmacSha256({ keys, signWith: 'b' })));
  });

  it('refuses a payload, or any field, that was changed', async () => {
    const by = verification();
    const good = signed({ reply_to: 'answers', expires_at: at(NOW + MINUTE), tenant: 'a' });
    await refused(by, { ...good, payload: { ...Object(good.payload), state: 'deleted' } }, 'wrong-signature');
    for (const name of Object.keys(good)) {
      if (name !== 'signature') await refused(by, { ...good, [name]: at(NOW - 1) }, 'wrong-signature');
    }
  });

  it('refuses a message that a field was taken from, or added to', async () => {
    const by = verification();
    const { reply_to: _, ...less } = signed({ reply_to: 'answers' });
    await refused(by, less, 'wrong-signature');
    await refused(by, { ...signed(), reply_to: 'answers' }, 'wrong-signature');
    await refused(by, { ...signed(), added: 1 }, 'wrong-signature');
  });

  it('refuses a message that was moved to another exchange or key', async () => {
    const by = verification();
    await refused(by, signed(), 'wrong-signature', { ...PLACE, exchange: 'network' });
    await refused(by, signed(), 'wrong-signature', { ...PLACE, key: 'compute.instance.delete' });
  });

  it('refuses what was signed with another secret, by whatever key id', async () => {
    const by = verification();
    const stranger = { a: 'the secret of a stranger', c: 'the secret of a stranger' };
    await refused(by, sign(ENVELOPE, PLACE, hmacSha256({ keys: stranger, signWith: 'a' })), 'wrong-signature');
    await refused(by, sign(ENVELOPE, PLACE, hmacSha256({ keys: stranger, signWith: 'c' })), 'unknown-key');
  });

  it('refuses a signature that is passed off as that of another key', async () => {
    const by = verification();
    const same = hmacSha256({ keys: { a: keys.a, c: keys.a }, signWith: 'c' });
    const moved = sign(ENVELOPE, PLACE, same).signature?.replace(':c:', ':a:') ?? '';
    await refused(by, envelope({ signature: moved }), 'wrong-signature');
  });

  it('refuses a signature that has another form', async () => {
    const by = verification();
    const { signature = '' } = signed();
    for (const bad of ['', 'rubbish', signature.toUpperCase(), signature.replace(':a:', ':%61:'), `${signature} `])
      await refused(by, envelope({ signature: bad }), 'malformed-signature');
  });

  it('refuses what is unsigned, unless it is told otherwise', async () => {
    await refused(verification(), ENVELOPE, 'unsigned');
    await passed(verification({ policy: 'accept-unsigned' }), ENVELOPE);
  });

  it('refuses bad signatures also where none is needed', async () => {
    const by = verification({ policy: 'accept-unsigned' });
    await refused(by, { ...signed(), payload: 1 }, 'wrong-signature');
    await refused(by, envelope({ signature: 'x' }), 'malformed-signature');
  });

  it('refuses what has no canonical form, instead of failing', async () => {
    const by = verification();
    await refused(by, { ...signed(), payload: '\ud800' }, 'wrong-signature');
    await refused(by, { ...signed(), payload: Buffer.from('bytes') }, 'wrong-signature');
  });

  it('refuses what comes from the future, but for the tolerance of clocks', async () => {
    const by = verification();
    await passed(by, signed({ timestamp: at(NOW + MINUTE) }));
    await refused(by, signed({ timestamp: at(NOW + MINUTE + 1) }), 'future');
    await refused(verification({ clockToleranceMs: 0 }), signed({ timestamp: at(NOW + 1) }), 'future');
    await refused(verification({ policy: 'accept-unsigned' }), envelope({ timestamp: at(NOW + 2 * MINUTE) }), 'future');
  });

  it('refuses tolerances that would let everything pass', () => {
    for (const clockToleranceMs of [-1, Number.NaN])
      expect(thrownBy(() => verification({ clockToleranceMs }))).to.have.property('code', 'CONFIG');
  });

  it('knows no age without an expiry, and refuses what has expired', async () => {
    const by = verification();
    await passed(by, signed({ timestamp: '2001-01-01T00:00:00.000Z' }));
    await passed(by, signed({ expires_at: at(NOW - MINUTE) }));
    await refused(by, signed({ expires_at: at(NOW - MINUTE - 1) }), 'expired');
  });

  it('counts what the subscriber finds misplaced', () => {
    const by = verification();
    const refusal = by.refuse('misplaced', 'from elsewhere');
    expect(refusal).to.deep.equal({ reason: 'misplaced', detail: 'from elsewhere' });
    expect(by.refused.misplaced).to.equal(1);
  });

  it('tells at once what needs no store', () => {
    const by = verification();
    expect(by.authenticate(signed(), PLACE)).to.equal(undefined);
    expect(by.authenticate(ENVELOPE, PLACE)).to.have.property('reason', 'unsigned');
  });

  it('bounds what it tells of strangers', async () => {
    const refusal = await verification().check(envelope({ signature: `x:${'k'.repeat(1e6)}:00` }), PLACE);
    expect(refusal?.detail).to.have.property('length').below(500);
  });

  describe('against replays', () => {
    it('passes a message until it is done, and never after', async () => {
      const by = verification();
      await passed(by, signed());
      await passed(by, signed());
      await by.done(signed());
      await refused(by, signed(), 'replayed');
      await refused(by, signed(), 'replayed');
      await passed(by, signed({ message_id: 'another' }));
    });

    it('passes two that run at once: only what is done counts as seen', async () => {
      const by = verification();
      const both = await Promise.all([by.check(signed(), PLACE), by.check(signed(), PLACE)]);
      expect(both).to.deep.equal([undefined, undefined]);
      await Promise.all([by.done(signed()), by.done(signed())]);
      await refused(by, signed(), 'replayed');
    });

    it('keeps groups apart in one store', async () => {
      const seen = memoryIdStore();
      const billing = verification({ seen }, 'billing');
      await billing.done(signed());
      await refused(billing, signed(), 'replayed');
      await refused(verification({ seen }, 'billing'), signed(), 'replayed');
      await passed(verification({ seen }, 'audit'), signed());
    });

    it('does not mistake one publisher or key for another that uses the same id', async () => {
      const by = verification();
      await by.done(signed());
      await passed(by, signed({ publisher_id: 'compute.host2' }));
      await passed(by, sign(ENVELOPE, PLACE, hmacSha256({ keys, signWith: 'b' })));
    });

    it('cannot be made to refuse a message by an unsigned one with its id', async () => {
      const by = verification({ policy: 'accept-unsigned' });
      await passed(by, ENVELOPE);
      await by.done(ENVELOPE);
      await passed(by, signed());
      await passed(by, ENVELOPE);
    });

    it('lets the store forget a message once its expiry alone keeps it out', async () => {
      const seen = { has: sinon.fake.returns(false), add: sinon.fake() };
      const by = verification({ seen });
      await by.done(signed({ expires_at: at(NOW + 5_000) }));
      await by.done(signed());
      const untils = seen.add.args.map(([, , until]: readonly unknown[]) => until);
      expect(untils).to.deep.equal([new Date(NOW + 5_000 + MINUTE), undefined]);
      clock.setSystemTime(NOW + 5_000 + MINUTE + 1);
      await refused(by, signed({ expires_at: at(NOW + 5_000) }), 'expired');
    });

    it('takes stores that need time, and tells their failures', async () => {
      const memory = memoryIdStore();
      const slow: IdStore = {
        has: async (group, id) => memory.has(group, id),
        add: async (group, id) => memory.add(group, id),
      };
      const by = verification({ seen: slow });
      await by.done(signed());
      await refused(by, signed(), 'replayed');
      const broken = verification({ seen: { has: () => Promise.reject(new Error('store down')), add: () => {} } });
      expect(await rejection(broken.check(signed(), PLACE))).to.have.property('message', 'store down');
    });
  });
});
