import { setTimeout as pause } from 'node:timers/promises';
import type { Kind } from './peer-process.ts';
import { placeOf, through } from './place.ts';
import { type Parts, Side } from './side.ts';
import { WireTap } from './wire-tap.ts';

const COUNTED = 1_000;
const SILENCE_MS = 100;

/** What one operation costs on the wire, both directions, acknowledgements included. */
export interface WireCost {
  readonly frames: number;
  readonly bytes: number;
}

/** Counts the frames and bytes of an operation, for each number in flight: apart, because the proxy would slow it down. */
export async function wireCosts(
  kind: Kind,
  url: string,
  parts: Parts,
  levels: readonly number[],
): Promise<ReadonlyMap<number, WireCost>> {
  const { host, port } = placeOf(url);
  await using tap = await WireTap.open(host, port);
  await using side = await Side.start(kind, through(url, tap.port), parts);
  const costs = new Map<number, WireCost>();
  for (const inFlight of levels) {
    await side.sender.run({ inFlight, calls: inFlight });
    const before = await settled(tap);
    const { calls } = await side.sender.run({ inFlight, calls: Math.max(COUNTED, inFlight) });
    const after = await settled(tap);
    costs.set(inFlight, {
      frames: (after.frames - before.frames) / calls,
      bytes: (after.bytes - before.bytes) / calls,
    });
  }
  return costs;
}

/** Acknowledgements may follow the last answer. */
export async function settled(tap: WireTap): Promise<WireCost> {
  for (let seen = tap.frames; ; seen = tap.frames) {
    await pause(SILENCE_MS);
    if (tap.frames === seen) return { frames: tap.frames, bytes: tap.bytes };
  }
}
