import { setTimeout as pause } from 'node:timers/promises';
import { parseTransportUrl } from '@posthorn/core';
import { type Figures, medians, rounded, type Slice } from './figures.ts';
import { FrameCounter } from './frame-counter.ts';
import type { Options } from './options.ts';
import { isMemory, Pair } from './pair.ts';
import type { Report } from './report.ts';

/** Odd, so that a median is a slice that happened. */
const SLICES = 5;
const WARM_UP_PART = 0.1;
const COUNTED_CALLS = 1_000;
const SILENCE_MS = 100;

/**
 * Calls in a closed loop, Posthorn and its twin in turns, slice by slice: what disturbs the machine disturbs both.
 * Frames are counted apart, because the proxy would slow the calls down.
 */
export async function rpc({ url, inFlight: levels, seconds }: Options, report: Report): Promise<void> {
  await using posthorn = await Pair.start('posthorn', url);
  await using twin = isMemory(url) ? undefined : await Pair.start('twin', url);
  const sides = twin === undefined ? 1 : 2;
  const sliceMs = (seconds * 1_000) / (levels.length * sides * SLICES);
  const frames = isMemory(url) ? undefined : await countFrames(url, levels);
  report.begin(twin?.client.broker);
  const warmUpMs = (seconds * 1_000 * WARM_UP_PART) / sides;
  // Compiled code makes more of a difference than anything that is measured here.
  await posthorn.slice(100, warmUpMs);
  await twin?.slice(100, warmUpMs);
  for (const inFlight of levels) {
    const [ours, theirs] = await inTurns(posthorn, twin, inFlight, sliceMs);
    report.add(figures(url, inFlight, ours, theirs, frames?.get(inFlight)));
  }
  report.end();
}

async function inTurns(
  posthorn: Pair,
  twin: Pair | undefined,
  inFlight: number,
  sliceMs: number,
): Promise<[Slice, Slice | undefined]> {
  const ours: Slice[] = [];
  const theirs: Slice[] = [];
  await posthorn.slice(inFlight, sliceMs / 4);
  await twin?.slice(inFlight, sliceMs / 4);
  for (let turn = 0; turn < SLICES; turn++) {
    ours.push(await posthorn.slice(inFlight, sliceMs));
    if (twin !== undefined) theirs.push(await twin.slice(inFlight, sliceMs));
  }
  return [medians(ours), theirs.length === 0 ? undefined : medians(theirs)];
}

async function countFrames(url: string, levels: readonly number[]): Promise<Map<number, number>> {
  const { hosts, vhost = '/', query } = parseTransportUrl(url);
  const [first] = hosts;
  await using counter = await FrameCounter.open(first?.host ?? 'localhost', first?.port ?? 5_672);
  const user = [first?.username ?? 'guest', first?.password ?? 'guest'].map(encodeURIComponent).join(':');
  const tapped = `rabbit://${user}@127.0.0.1:${counter.port}/${encodeURIComponent(vhost)}?${new URLSearchParams(query)}`;
  await using pair = await Pair.start('posthorn', tapped);
  const perCall = new Map<number, number>();
  for (const inFlight of levels) {
    await pair.client.run({ inFlight, calls: inFlight });
    const before = await settled(counter);
    const { calls } = await pair.client.run({ inFlight, calls: Math.max(COUNTED_CALLS, inFlight) });
    perCall.set(inFlight, ((await settled(counter)) - before) / calls);
  }
  return perCall;
}

/** Acknowledgements may follow the last answer. */
async function settled(counter: FrameCounter): Promise<number> {
  for (let seen = counter.frames; ; seen = counter.frames) {
    await pause(SILENCE_MS);
    if (counter.frames === seen) return seen;
  }
}

function figures(
  url: string,
  inFlight: number,
  ours: Slice,
  theirs: Slice | undefined,
  frames: number | undefined,
): Figures {
  return {
    scenario: 'rpc',
    transport: parseTransportUrl(url).scheme,
    inFlight,
    rate: rounded(ours.rate, 0),
    twinRate: theirs === undefined ? null : rounded(theirs.rate, 0),
    ratio: theirs === undefined ? null : rounded(ours.rate / theirs.rate, 3),
    p50Ms: rounded(ours.p50Ms, 3),
    p99Ms: rounded(ours.p99Ms, 3),
    twinP50Ms: theirs === undefined ? null : rounded(theirs.p50Ms, 3),
    cpuUsPerCall: rounded(ours.cpuUsPerCall, 1),
    twinCpuUsPerCall: theirs === undefined ? null : rounded(theirs.cpuUsPerCall, 1),
    framesPerCall: frames === undefined ? null : rounded(frames, 2),
  };
}
