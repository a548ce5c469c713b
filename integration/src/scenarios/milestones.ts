const PATIENCE_MS = 30_000;

/** Told how far the story has come. */
export interface Progress {
  reach(name: string): void;
  /** Reaches `name 1`, `name 2`, … */
  count(name: string): void;
}

/** What must have happened before the story goes on. */
export class Milestones implements Progress {
  readonly #reached = new Map<string, () => void>();
  readonly #counts = new Map<string, number>();

  wait(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came of: ${name}`)), PATIENCE_MS);
      this.#reached.set(name, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  reach(name: string): void {
    this.#reached.get(name)?.();
  }

  count(name: string): void {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    this.reach(`${name} ${count}`);
  }
}
