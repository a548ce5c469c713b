/** A promise that knows whether anybody looked at it: then its failure is theirs to handle. */
class Sending extends Promise<void> {
  watched = false;

  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise it is
  override then<A = void, B = never>(
    // biome-ignore lint/suspicious/noConfusingVoidType: as its base has it
    onFulfilled?: ((value: void) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.watched = true;
    return super.then(onFulfilled, onRejected);
  }
}

/**
 * What one handler sends. Handlers need not wait for it: their message is settled only when all of it was sent, and a
 * failure that nobody waited for counts as the handler's own.
 */
export class Sendings {
  readonly #all: { readonly sent: Promise<void>; readonly given: Sending }[] = [];
  readonly #onLate: (error: unknown) => void;
  #over = false;

  /** @param onLate told of failures after the handler's end */
  constructor(onLate: (error: unknown) => void) {
    this.#onLate = onLate;
  }

  track(sent: Promise<void>): Promise<void> {
    const given = new Sending((resolve, reject) => void sent.then(resolve, reject));
    const failed = (error: unknown): void => {
      if (this.#over && !given.watched) this.#onLate(error);
    };
    // Not through `given`, which would count as watched; and so that it is handled in any case.
    Promise.prototype.then.call(given, undefined, failed);
    if (!this.#over) this.#all.push({ sent, given });
    return given;
  }

  /** @throws the first failure that nobody watched */
  async done(): Promise<void> {
    if (this.#all.length > 0) {
      const results = await Promise.allSettled(this.#all.map(({ sent }) => sent));
      this.#over = true;
      for (const [index, result] of results.entries())
        if (result.status === 'rejected' && !this.#all[index]?.given.watched) throw result.reason;
    }
    this.#over = true;
  }
}
