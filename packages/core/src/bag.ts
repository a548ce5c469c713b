/** Knows its place in the bag that it is in. */
export interface Bagged {
  slot: number;
}

/**
 * Items without an order, for what comes and goes with each message. A `Set` would leave its worn-out tables behind,
 * each linked to the next: once V8 has promoted one of them, all that was ever in its successors outlives its use.
 */
export class Bag<Item extends Bagged> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    item.slot = this.#items.push(item) - 1;
  }

  /** Whether it was in the bag. */
  delete(item: Item): boolean {
    if (this.#items[item.slot] !== item) return false;
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[item.slot] = last;
      last.slot = item.slot;
    }
    return true;
  }

  /** A copy: the bag may change meanwhile. */
  items(): readonly Item[] {
    return [...this.#items];
  }

  find(matches: (item: Item) => boolean): Item | undefined {
    return this.#items.find(matches);
  }
}
