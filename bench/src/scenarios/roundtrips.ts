import { maybe } from '../compared.ts';
import { rounded } from '../figures.ts';
import { numbers } from '../numbers.ts';
import type { Kind } from '../peer-process.ts';
import { placeOf, through } from '../place.ts';
import type { Cell, Scenario } from '../scenario.ts';
import { Side, twinKind } from '../side.ts';
import { settled } from '../wire-cost.ts';
import { WireTap } from '../wire-tap.ts';

const WARM_UP_CALLS = 10;
/** Calls without a delay; half as many with one; casts. */
const MESSAGES = 1_000;
const DELAY_MS = 50;
/** In flight, so that calls over the long wire end in time: they do not wait for each other. */
const DELAYED_IN_FLIGHT = 20;
/** Client, broker, server, broker, client: both of them are behind the proxy. */
const WIRES_PER_CALL = 4;
const CAST_DELAY_MS = 200;
/** What moves messages; anything else that is sent for a call is an exchange of its own. */
const MOVING = new Set(['publish', 'header', 'body', 'ack', 'transfer', 'disposition', 'flow']);

/** Counts what a call exchanges with the broker, and what that costs where the broker is far away. */
export const roundtrips: Scenario = {
  name: 'roundtrips',
  about: 'frames of a call; calls over 50 ms each way; 1,000 casts at once over 200 ms each way',
  schemes: ['rabbit', 'amqp1'],
  options: { 'delay-ms': String(DELAY_MS), 'cast-delay-ms': String(CAST_DELAY_MS) },
  columns: [
    { key: 'what', title: 'what'.padEnd(5) },
    { key: 'delayMs', title: 'delay ms' },
    { key: 'frames', title: 'frames each', digits: 2 },
    { key: 'twinFrames', title: 'twin', digits: 2 },
    { key: 'syncFrames', title: 'not moving', digits: 2 },
    { key: 'bytes', title: 'bytes each', digits: 0 },
    { key: 'twinBytes', title: 'twin', digits: 0 },
    { key: 'p50Ms', title: 'p50 ms', digits: 2 },
    { key: 'transitMs', title: 'transit ms' },
    { key: 'ofTransit', title: 'of transit', digits: 3 },
    { key: 'twinP50Ms', title: 'twin p50', digits: 2 },
    { key: 'writtenMs', title: 'all written', digits: 0 },
    { key: 'twinWrittenMs', title: 'twin', digits: 0 },
    { key: 'confirmedMs', title: 'all confirmed', digits: 0 },
    { key: 'twinConfirmedMs', title: 'twin', digits: 0 },
  ],
  notes: [
    'Client and server are both behind the proxy, so that a call crosses it four times: request in, request out, reply in,',
    'reply out. Not moving: frames to the broker that are neither messages nor acknowledgements nor credit.',
  ],
  async run({ url, messages = MESSAGES, own }, watcher) {
    const [delay = DELAY_MS] = numbers('--delay-ms', own['delay-ms'] ?? String(DELAY_MS));
    const [castDelay = CAST_DELAY_MS] = numbers('--cast-delay-ms', own['cast-delay-ms'] ?? String(CAST_DELAY_MS));
    const transport = placeOf(url).scheme;
    const library = twinKind(url);
    const steps = library ? 6 : 3;
    let step = 0;
    const tick = (): void => watcher.progress?.(++step, steps, 'roundtrips');
    watcher.begin?.({ broker: 'a broker behind a proxy that counts frames', lines: [] });
    for (const delayMs of [0, delay]) {
      const ours = await measuredCalls('posthorn', url, delayMs, messages);
      tick();
      const theirs = library && (await measuredCalls(library, url, delayMs, messages));
      tick();
      const transitMs = delayMs * WIRES_PER_CALL;
      watcher.row({
        scenario: 'roundtrips',
        transport,
        what: 'call',
        delayMs,
        frames: rounded(ours.frames, 2),
        twinFrames: maybe(theirs?.frames, 2),
        syncFrames: rounded(ours.syncFrames, 3),
        bytes: rounded(ours.bytes, 0),
        twinBytes: maybe(theirs?.bytes, 0),
        p50Ms: rounded(ours.p50Ms, 3),
        transitMs,
        ofTransit: transitMs === 0 ? null : rounded(ours.p50Ms / transitMs, 3),
        twinP50Ms: maybe(theirs?.p50Ms, 3),
      });
    }
    const ours = await measuredCasts('posthorn', url, castDelay, messages);
    tick();
    const theirs = library && (await measuredCasts(library, url, castDelay, messages));
    tick();
    const row: Readonly<Record<string, Cell>> = {
      writtenMs: rounded(ours.writtenMs, 0),
      twinWrittenMs: maybe(theirs?.writtenMs, 0),
      confirmedMs: rounded(ours.confirmedMs, 0),
      twinConfirmedMs: maybe(theirs?.confirmedMs, 0),
    };
    watcher.row({ scenario: 'roundtrips', transport, what: 'casts', delayMs: castDelay, count: messages, ...row });
  },
};

interface Calls {
  readonly frames: number;
  readonly syncFrames: number;
  readonly bytes: number;
  readonly p50Ms: number;
}

async function measuredCalls(kind: Kind, url: string, delayMs: number, count: number): Promise<Calls> {
  const { host, port } = placeOf(url);
  await using tap = await WireTap.open(host, port);
  const parts = { sender: { role: 'caller' }, receiver: { role: 'server' } } as const;
  await using side = await Side.start(kind, through(url, tap.port), parts);
  const [inFlight, calls] = delayMs === 0 ? [1, count] : [DELAYED_IN_FLIGHT, Math.ceil(count / 2)];
  await side.sender.run({ inFlight: 1, calls: WARM_UP_CALLS });
  const before = { ...(await settled(tap)), syncFrames: notMoving(tap) };
  tap.latencyMs = delayMs;
  const { p50Ms } = await side.sender.run({ inFlight, calls });
  tap.latencyMs = 0;
  const after = { ...(await settled(tap)), syncFrames: notMoving(tap) };
  return {
    frames: (after.frames - before.frames) / calls,
    syncFrames: (after.syncFrames - before.syncFrames) / calls,
    bytes: (after.bytes - before.bytes) / calls,
    p50Ms,
  };
}

function notMoving(tap: WireTap): number {
  return Object.entries(tap.counts())
    .filter(([key]) => key.startsWith('to broker ') && !MOVING.has(key.slice('to broker '.length)))
    .reduce((total, [, count]) => total + count, 0);
}

interface Casts {
  /** When the proxy had read the last of them. */
  readonly writtenMs: number;
  readonly confirmedMs: number;
}

/** Started one after the other, none of them awaited. */
async function measuredCasts(kind: Kind, url: string, delayMs: number, count: number): Promise<Casts> {
  const { host, port, scheme } = placeOf(url);
  const message = scheme === 'amqp1' ? 'transfer' : 'publish';
  await using tap = await WireTap.open(host, port);
  const parts = { sender: { role: 'caster' }, receiver: { role: 'sink' } } as const;
  await using side = await Side.start(kind, through(url, tap.port), parts);
  await side.sender.run({ inFlight: 1, calls: WARM_UP_CALLS });
  await settled(tap);
  tap.latencyMs = delayMs;
  const start = performance.now();
  const written = tap
    .passed('to broker', message, tap.count('to broker', message) + count)
    .then(() => performance.now());
  const { elapsedMs } = await side.sender.run({ inFlight: count, calls: count });
  const writtenMs = (await written) - start;
  tap.latencyMs = 0;
  await side.receiver?.handled(WARM_UP_CALLS + count);
  return { writtenMs, confirmedMs: elapsedMs };
}
