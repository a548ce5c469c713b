import { ConfigError, messageOf } from '@posthorn/core';
import { type Envelope, identityOf, type Place } from './envelope.ts';
import { type IdStore, memoryIdStore } from './id-store.ts';
import type { SignatureCheck, SignatureVerifier } from './signer.ts';
import { parseSignature, type Signature, signedBytes } from './signing.ts';

/**
 * | reason | |
 * |---|---|
 * | `unsigned` | it bears no signature |
 * | `malformed-signature` | the signature is not `algorithm:key id:hex` |
 * | `unknown-key` | nobody here knows that key, or that algorithm |
 * | `wrong-signature` | it was changed, moved to another exchange or key, or signed with another secret |
 * | `replayed` | the group has handled it before |
 * | `future` | it was made later than now |
 * | `expired` | its `expires_at` has passed |
 * | `misplaced` | it was published where the subscriber does not listen |
 */
export type RefusalReason =
  | 'unsigned'
  | 'malformed-signature'
  | 'unknown-key'
  | 'wrong-signature'
  | 'replayed'
  | 'future'
  | 'expired'
  | 'misplaced';

/** Why a message is not to be handled. */
export interface Refusal {
  readonly reason: RefusalReason;
  /** For people. */
  readonly detail: string;
}

export interface VerificationOptions {
  readonly verifier: SignatureVerifier;
  /** What bears a signature must bear a good one, either way. Default `require`. */
  readonly policy?: 'require' | 'accept-unsigned';
  /** How far the clocks of publishers may differ from this one. Default 60,000. */
  readonly clockToleranceMs?: number;
  /** Where handled messages are remembered. Default: in memory, 100,000 of each group. */
  readonly seen?: IdStore;
}

/**
 * Refuses messages that are not what a known publisher published, there, and for the first time.
 *
 * A signed message counts as seen once it is `done`, not before: one whose handler failed may come again. Until then it
 * may also come twice at once, and both pass, as everywhere where delivery is at least once. Afterwards each further
 * one is `replayed` for as long as the store remembers, which is all that bounds it where there is no `expires_at`.
 * Unsigned messages are never remembered: they could bear the id of one that is still to come.
 */
export class Verification {
  /** How many were refused, by reason. */
  readonly refused: Readonly<Record<RefusalReason, number>>;
  readonly #counts: Record<RefusalReason, number>;
  readonly #verifier: SignatureVerifier;
  readonly #policy: 'require' | 'accept-unsigned';
  readonly #toleranceMs: number;
  readonly #seen: IdStore;
  readonly #group: string;

  /**
   * @param group whose messages are remembered together
   * @throws {ConfigError} for a tolerance that is no duration
   */
  constructor(options: VerificationOptions, group: string) {
    this.#verifier = options.verifier;
    this.#policy = options.policy ?? 'require';
    this.#toleranceMs = options.clockToleranceMs ?? 60_000;
    if (!(this.#toleranceMs >= 0)) throw new ConfigError('clockToleranceMs', 'expected milliseconds, 0 or more');
    this.#seen = options.seen ?? memoryIdStore();
    this.#group = group;
    this.#counts = zeros();
    this.refused = this.#counts;
  }

  /** All of it. Undefined when the message is good. Rejects only where the store does. */
  async check(envelope: Envelope, place: Place): Promise<Refusal | undefined> {
    return this.authenticate(envelope, place) ?? (await this.replayed(envelope));
  }

  /** What can be told at once: the signature and the times. */
  authenticate(envelope: Envelope, place: Place): Refusal | undefined {
    return this.#forged(envelope, place) ?? this.#untimely(envelope);
  }

  /** Whether the group has handled it before. Only for what was authenticated. */
  async replayed(envelope: Envelope): Promise<Refusal | undefined> {
    const id = seenId(envelope);
    if (id === undefined || !(await this.#seen.has(this.#group, id))) return undefined;
    return this.refuse('replayed', `message ${envelope.message_id} was handled before`);
  }

  /** The message was handled: it does not pass again. Rejects only where the store does. */
  async done(envelope: Envelope): Promise<void> {
    const id = seenId(envelope);
    if (id === undefined) return;
    const { expires_at } = envelope;
    const until = expires_at === undefined ? undefined : new Date(Date.parse(expires_at) + this.#toleranceMs);
    await this.#seen.add(this.#group, id, until);
  }

  /** Counts a refusal. For the subscriber, which decides on `misplaced`. */
  refuse(reason: RefusalReason, detail: string): Refusal {
    this.#counts[reason]++;
    return { reason, detail };
  }

  #forged(envelope: Envelope, place: Place): Refusal | undefined {
    if (envelope.signature === undefined)
      return this.#policy === 'accept-unsigned' ? undefined : this.refuse('unsigned', 'it bears no signature');
    const signature = parseSignature(envelope.signature);
    if (signature === undefined)
      return this.refuse('malformed-signature', 'its signature is not "algorithm:key id:hex"');
    const result = this.#verify(signature, envelope, place);
    if (result.check === 'valid') return undefined;
    return this.refuse(result.check, `signature by ${signature.algorithm}, key "${signature.keyId}"${result.why}`);
  }

  #verify(
    { algorithm, keyId, hex }: Signature,
    envelope: Envelope,
    place: Place,
  ): { readonly check: SignatureCheck; readonly why: string } {
    try {
      return { check: this.#verifier.verify(algorithm, keyId, signedBytes(envelope, place), hex), why: '' };
    } catch (error) {
      // Nobody can have signed what has no canonical form.
      return { check: 'wrong-signature', why: `: ${messageOf(error)}` };
    }
  }

  #untimely({ timestamp, expires_at }: Envelope): Refusal | undefined {
    const now = Date.now();
    if (Date.parse(timestamp) > now + this.#toleranceMs) return this.refuse('future', `it was made at ${timestamp}`);
    if (expires_at === undefined || Date.parse(expires_at) >= now - this.#toleranceMs) return undefined;
    return this.refuse('expired', `it expired at ${expires_at}`);
  }
}

function zeros(): Record<RefusalReason, number> {
  return {
    unsigned: 0,
    'malformed-signature': 0,
    'unknown-key': 0,
    'wrong-signature': 0,
    replayed: 0,
    future: 0,
    expired: 0,
    misplaced: 0,
  };
}

/** With the key, so that a publisher cannot use up the ids of another. */
function seenId(envelope: Envelope): string | undefined {
  const { signature } = envelope;
  return signature === undefined
    ? undefined
    : signature.slice(0, signature.lastIndexOf(':') + 1) + identityOf(envelope);
}
