import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

/** On what was measured: part of every line of `--json`. */
export interface Host {
  readonly node: string;
  readonly cpus: number;
  readonly cpu: string;
  readonly memoryGiB: number;
  readonly system: string;
  /** What else the machine did when the run began: the load average of one minute. */
  readonly load: number;
  readonly broker: string | null;
}

export function hostFacts(broker: string | undefined): Host {
  return {
    node: process.version,
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model.trim() || process.arch,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    load: Number((loadavg()[0] ?? 0).toFixed(2)),
    broker: broker ?? null,
  };
}
