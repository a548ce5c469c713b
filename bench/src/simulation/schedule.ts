interface Entry<T> {
  readonly at: number;
  readonly item: T;
}

/** What is to come, soonest first; at the same time, in no certain order, but always in the same one. */
export class Schedule<T> {
  readonly #heap: Entry<T>[] = [];

  get first(): Entry<T> | undefined {
    return this.#heap[0];
  }

  add(at: number, item: T): void {
    const entry = { at, item };
    const heap = this.#heap;
    let hole = heap.length;
    for (let above = (hole - 1) >> 1; hole > 0; above = (hole - 1) >> 1) {
      const parent = heap[above];
      if (parent === undefined || parent.at <= at) break;
      heap[hole] = parent;
      hole = above;
    }
    heap[hole] = entry;
  }

  take(): Entry<T> | undefined {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return first;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      const right = heap[left + 1];
      const below = right !== undefined && right.at < (heap[left]?.at ?? Number.NaN) ? left + 1 : left;
      const child = heap[below];
      if (child === undefined || child.at >= last.at) break;
      heap[hole] = child;
      hole = below;
    }
    heap[hole] = last;
    return first;
  }
}
