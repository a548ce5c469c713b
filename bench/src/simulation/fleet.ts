import { MEASURED, type ProcessCost } from './measured.ts';
import type { Part } from './parts.ts';

/** What a process of several parts costs, all on its one connection. */
export function costOf(parts: readonly Part[]): ProcessCost {
  const { connection } = MEASURED;
  const of = (key: keyof ProcessCost): number =>
    // Two looks at much the same differ by some KiB, up or down.
    parts.reduce((total, part) => total + Math.max(0, MEASURED[part][key] - connection[key]), connection[key]);
  return {
    channels: of('channels'),
    queues: of('queues'),
    consumers: of('consumers'),
    bindings: of('bindings'),
    processes: of('processes'),
    kib: of('kib'),
    setUpCpuMs: of('setUpCpuMs'),
    idleCpuUs: of('idleCpuUs'),
    clientCpuMs: of('clientCpuMs'),
  };
}
