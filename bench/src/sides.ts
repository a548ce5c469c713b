import type { Side } from './side.ts';

/** The sides of a comparison, ours first. They start together and end together. */
export class Sides implements AsyncDisposable {
  readonly all: readonly Side[];

  private constructor(all: readonly Side[]) {
    this.all = all;
  }

  /** @throws what the first that failed throws; the others are ended */
  static async start(...starting: readonly (Promise<Side> | undefined)[]): Promise<Sides> {
    const ends = await Promise.allSettled(starting.filter((side) => side !== undefined));
    const sides = new Sides(ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : [])));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed === undefined) return sides;
    await sides[Symbol.asyncDispose]();
    throw failed.reason;
  }

  /** As a plain library was told by the broker itself. */
  get broker(): string | undefined {
    return this.all.find(({ broker }) => broker !== undefined)?.broker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((side) => side[Symbol.asyncDispose]()));
  }
}
