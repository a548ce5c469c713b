/** What a process took from its start to its first answer, in milliseconds. */
export interface StartUp {
  readonly importMs: number;
  readonly connectMs: number;
  readonly firstCallMs: number;
  readonly totalMs: number;
}

/** Where the time went: to be told when each step is over. Counts from the start of the process. */
export class StopWatch {
  readonly #begun = performance.now();
  #imported = 0;
  #connected = 0;

  imported(): void {
    this.#imported = performance.now();
  }

  connected(): void {
    this.#connected = performance.now();
  }

  /** The first answer is there. */
  answered(): StartUp {
    const totalMs = performance.now();
    return {
      importMs: this.#imported - this.#begun,
      connectMs: this.#connected - this.#imported,
      firstCallMs: totalMs - this.#connected,
      totalMs,
    };
  }
}
