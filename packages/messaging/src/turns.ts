/** Work on one id at a time, here in this process: a second message of it is then seen for what it is. */
export class Turns {
  readonly #running = new Map<string, Promise<unknown>>();

  async run<T>(id: string, work: () => Promise<T>): Promise<T> {
    for (let other = this.#running.get(id); other !== undefined; other = this.#running.get(id))
      await other.catch(() => undefined);
    const running = work();
    this.#running.set(id, running);
    try {
      return await running;
    } finally {
      this.#running.delete(id);
    }
  }
}
