/**
 * What one call, cast, notification and published message costs the broker, or all brokers of a cluster on this machine: bytes
 * in both directions with acknowledgements, and processor time.
 *
 *     message-cost <rabbit URL> [call,cast,notify,publish]
 */
import { parseTransportUrl } from '@posthorn/core';
import { rateOf, rounded } from '../figures.ts';
import { brokerCpu } from '../processes.ts';
import { type Parts, Side } from '../side.ts';
import { wireCosts } from '../wire-cost.ts';

const IN_FLIGHT = 10;
const WARM_UP = 2_000;
const MESSAGES = 20_000;

const KINDS: Readonly<Record<string, Parts>> = {
  call: { sender: { role: 'caller' }, receiver: { role: 'server' } },
  cast: { sender: { role: 'caster' }, receiver: { role: 'sink' } },
  notify: { sender: { role: 'notifier' }, receiver: { role: 'listener' } },
  publish: { sender: { role: 'publisher' }, receiver: { role: 'worker' } },
};

/** The processor time of the brokers of a URL so far, in microseconds. */
function cpuOf(url: string): () => number {
  const each = parseTransportUrl(url).hosts.map(({ host, port = 5_672 }) => brokerCpu(host, port));
  return () => each.reduce((total, one) => total + (one?.() ?? Number.NaN), 0);
}

const [url, only = Object.keys(KINDS).join(',')] = process.argv.slice(2);
if (url === undefined) throw new Error('message-cost <rabbit URL> [call,cast,notify,publish]');
const cpuUs = cpuOf(url);
for (const [kind, parts] of Object.entries(KINDS)) {
  if (!only.split(',').includes(kind)) continue;
  const { frames = 0, bytes = 0 } = (await wireCosts('posthorn', url, parts, [IN_FLIGHT])).get(IN_FLIGHT) ?? {};
  await using side = await Side.start('posthorn', url, parts);
  const run = (calls: number) =>
    kind === 'call' ? side.loop({ inFlight: IN_FLIGHT, calls }) : side.flow({ inFlight: IN_FLIGHT, calls });
  await run(WARM_UP);
  const before = cpuUs();
  const slice = await run(MESSAGES);
  const brokerCpuUs = rounded((cpuUs() - before) / MESSAGES, 1);
  const own = rounded(slice.cpuUs / MESSAGES, 1);
  console.log(
    JSON.stringify({
      kind,
      bytes: rounded(bytes, 0),
      frames: rounded(frames, 1),
      brokerCpuUs,
      cpuUs: own,
      rate: rounded(rateOf(slice), 0),
    }),
  );
}
