import type { Declaration, Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { explained, type Witness } from './doctor-permissions.ts';
import { examined, type Finding } from './finding.ts';
import { percentile } from './percentile.ts';
import { planOf } from './topology-plan.ts';

const LIMIT_MS = 15_000;
/** On one machine it is well below. */
const SLOW_MS = 50;

/** Calls to a server of its own, one after the other, there and back through the broker; and as many confirmed messages. */
export async function examineRoundTrip(
  transport: Transport,
  { name, count, made, witness }: Trip,
): Promise<readonly Finding[]> {
  const { kinds } = transport.features;
  const step = 'round trip';
  if (!kinds.includes('reply') || !kinds.includes('multicast'))
    return [{ step, verdict: 'skipped', text: 'calls need replies, which this broker cannot do by this protocol' }];
  const target = { exchange: name, topic: name, server: 'doctor' };
  const explain = (error: unknown): Omit<Finding, 'step'> => explained(step, error, witness);
  if (transport.features.plan) {
    const file = { notifiers: [], listeners: [], publishers: [], subscribers: [], mailboxes: [], services: [] };
    const servers = [{ ...target, server: [target.server] }];
    for (const { declaration } of await planOf(transport, { ...file, servers })) made.push(declaration);
  }
  const server = new RPCServer(transport, { target, endpoints: [{ echo: (args: object) => args }] });
  try {
    const called = await examined(
      step,
      LIMIT_MS,
      async () => {
        await server.start();
        const client = new RPCClient(transport, { target, timeoutMs: LIMIT_MS });
        const times = await timed(count, () => client.call({}, 'echo', { text: 'doctor' }));
        return measured(step, `${times.length} calls`, times);
      },
      explain,
    );
    if (called.verdict === 'wrong') return [called];
    const confirmed = await examined(
      'confirms',
      LIMIT_MS,
      async () => {
        const to = { kind: 'multicast', exchange: name, topic: name } as const;
        const body = Buffer.from('{}');
        const times = await timed(count, () => transport.send(to, { body }, { confirm: true, unrouted: 'drop' }));
        return measured('confirms', `${times.length} messages`, times);
      },
      explain,
    );
    return [called, confirmed];
  } finally {
    await server.close({ timeoutMs: 1_000 });
  }
}

export interface Trip {
  readonly name: string;
  readonly count: number;
  readonly made: Declaration[];
  readonly witness: Witness;
}

/** How long each took, in milliseconds; the first, which opens things, does not count. Ends early when it takes long. */
async function timed(count: number, act: () => Promise<unknown>): Promise<readonly number[]> {
  await act();
  const times: number[] = [];
  const until = performance.now() + LIMIT_MS / 3;
  while (times.length < count && performance.now() < until) {
    const began = performance.now();
    await act();
    times.push(performance.now() - began);
  }
  return times;
}

function measured(step: string, what: string, times: readonly number[]): Finding {
  const [p50, p99] = [0.5, 0.99].map((part) => Number(percentile(times, part).toFixed(2)));
  const text = `${what}, one after the other: p50 ${p50} ms, p99 ${p99} ms`;
  const figures = { count: times.length, p50Ms: p50 ?? 0, p99Ms: p99 ?? 0 };
  if (p50 === undefined || p50 < SLOW_MS) return { step, verdict: 'good', text, figures };
  return { step, verdict: 'careful', text, figures, advice: 'slow for one broker: is it far away, or busy?' };
}
