import { type Delivery, type Logger, RecentIds, type Transport } from '@posthorn/core';
import { BurstLog } from './burst-log.ts';
import { identityOf, type Place } from './envelope.ts';
import { remembering } from './once.ts';
import type { ReceivedMessage } from './received-message.ts';
import type { Sources } from './sources.ts';
import { type Refusal, type RefusalReason, Verification, type VerificationOptions } from './verification.ts';

/** Told of a message that was refused; it is discarded in any case. */
export type OnRefused = (refusal: Refusal, message: ReceivedMessage) => unknown;

/** Keeps out what does not verify: counted by its reason, logged once for each burst, and discarded. */
export class Gate {
  readonly #verification: Verification;
  readonly #sources: () => Sources;
  readonly #transport: Transport;
  readonly #logger: Logger;
  readonly #onRefused: OnRefused | undefined;
  readonly #logs = new Map<RefusalReason, BurstLog>();
  /** Signed messages that came in. */
  readonly #known = new RecentIds();

  constructor(
    options: VerificationOptions,
    group: string,
    sources: () => Sources,
    transport: Transport,
    onRefused: OnRefused | undefined,
  ) {
    this.#verification = new Verification(options, group);
    this.#sources = sources;
    this.#transport = transport;
    this.#logger = transport.logger;
    this.#onRefused = onRefused;
  }

  get refused(): Readonly<Record<RefusalReason, number>> {
    return this.#verification.refused;
  }

  /** Whether a message may be handled, as far as it can be told at once. `replayed` tells the rest. */
  admits(message: ReceivedMessage, place: Place | undefined): boolean {
    const refusal =
      place === undefined || !this.#sources().include(place)
        ? this.#verification.refuse('misplaced', 'it was not published where this subscriber listens')
        : this.#verification.authenticate(message.envelope, place);
    if (refusal !== undefined) this.#refuse(refusal, message);
    return refusal === undefined;
  }

  /**
   * The id by which a second delivery is recognised. None for what comes a second time without being delivered again: that
   * is a replay, which `replayed` is to see.
   */
  idOf({ envelope }: ReceivedMessage, { redelivered }: Delivery): string | undefined {
    const id = identityOf(envelope);
    const came = this.#known.has(id) || this.#transport.startedIds.has(id);
    if (envelope.signature !== undefined && !redelivered && came) return undefined;
    this.#known.add(id);
    return id;
  }

  /** Whether it was handled before. Rejects only where the store does. */
  async replayed(message: ReceivedMessage): Promise<boolean> {
    const refusal = await this.#verification.replayed(message.envelope);
    if (refusal !== undefined) this.#refuse(refusal, message);
    return refusal !== undefined;
  }

  async done({ envelope }: ReceivedMessage): Promise<void> {
    await remembering(this.#logger, envelope.message_id, () => this.#verification.done(envelope));
  }

  /** It will come again, as a copy: that is no replay. */
  failed({ envelope }: ReceivedMessage): void {
    this.#known.delete(identityOf(envelope));
  }

  #refuse(refusal: Refusal, message: ReceivedMessage): void {
    const { reason, detail } = refusal;
    const log = this.#logs.get(reason) ?? new BurstLog(this.#logger);
    this.#logs.set(reason, log);
    const { messageId, publisherId, type, exchange, key } = message;
    log.warn({ reason, messageId, publisherId, type, exchange, key }, `refused: ${reason}: ${detail}`);
    void this.#tell(refusal, message);
  }

  async #tell(refusal: Refusal, message: ReceivedMessage): Promise<void> {
    try {
      await this.#onRefused?.(refusal, message);
    } catch (error) {
      this.#logger.error({ err: error }, 'onRefused threw');
    }
  }
}
