const STEPS = 8;

/** Tells once nothing was heard for so long. In steps, of which a stall of this process, which hears nothing meanwhile, is one. */
export class Silence {
  readonly #stepMs: number;
  readonly #onSilent: () => void;
  #timer: NodeJS.Timeout | undefined;
  #steps = 0;

  constructor(ms: number, onSilent: () => void) {
    this.#stepMs = ms / STEPS;
    this.#onSilent = onSilent;
  }

  begin(): void {
    this.#timer ??= setInterval(() => {
      this.#steps++;
      if (this.#steps === STEPS) this.#onSilent();
    }, this.#stepMs);
  }

  /** It begins anew. */
  heard(): void {
    this.#steps = 0;
    this.#timer?.refresh();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
