import type { Slice } from './figures.ts';

/** Does a slice of the load. */
export type TakeSlice = () => Promise<Slice>;

/**
 * The slices of each side, taken in turns: what disturbs the machine disturbs all of them. Every other turn goes
 * backwards, so that nobody is always the one that runs after a certain other.
 */
export async function inTurns(
  sides: readonly TakeSlice[],
  turns: number,
  onSlice?: () => void,
): Promise<readonly (readonly Slice[])[]> {
  const slices: Slice[][] = sides.map(() => []);
  for (let turn = 0; turn < turns; turn++) {
    const order = [...sides.entries()];
    for (const [index, take] of turn % 2 === 0 ? order : order.reverse()) {
      slices[index]?.push(await take());
      onSlice?.();
    }
  }
  return slices;
}
