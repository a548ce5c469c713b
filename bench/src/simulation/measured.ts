import type { Part } from './parts.ts';

/** What one process of a fleet costs its broker. */
export interface ProcessCost {
  readonly channels: number;
  readonly queues: number;
  readonly consumers: number;
  readonly bindings: number;
  /** Of Erlang. */
  readonly processes: number;
  /** Allocated by Erlang. */
  readonly kib: number;
  /** The broker's processor time until the process is connected and set up. */
  readonly setUpCpuMs: number;
  /** The broker's processor time in a second without traffic. */
  readonly idleCpuUs: number;
  /** The process's own processor time, beside `setUpCpuMs`. */
  readonly clientCpuMs: number;
}

/**
 * As `broker-cost` printed it: RabbitMQ 3.10.8 with socket buffers of 32 KiB; 50, 100 and 200 processes; two cores that others
 * used as well. Each part includes its connection, so a process of several parts has less than their sum.
 */
export const MEASURED: Readonly<Record<Part, ProcessCost>> = {
  connection: cost(2, 0, 0, 0, 15, 238, 1.21, 50, 1.25),
  client: cost(3, 1, 1, 0, 21, 339, 2.96, 85, 2.6),
  server: cost(5, 2, 3, 2, 31, 429, 4.37, 111, 2.13),
  notifier: cost(2, 0, 0, 0, 15, 190, 1.76, 45, 1.84),
  listener: cost(3, 0, 1, 0, 19, 229, 1.61, 45, 1.47),
  subscriber: cost(3, 1, 1, 1, 21, 231, 2.86, 70, 1.41),
};

/** The broker's processor time for a connection that is accepted, and closed before it says a word. */
export const ACCEPT_CPU_MS = 0.13;

/**
 * What it takes to get a connection out of the kernel's backlog. Fitted to one run of `burst-measured`: of 2,000 within 56 ms, a
 * backlog of 128 had no place for some 220.
 */
export const TAKE_MS = 0.034;

function cost(
  ...figures: readonly [number, number, number, number, number, number, number, number, number]
): ProcessCost {
  const [channels, queues, consumers, bindings, processes, kib, setUpCpuMs, idleCpuUs, clientCpuMs] = figures;
  return { channels, queues, consumers, bindings, processes, kib, setUpCpuMs, idleCpuUs, clientCpuMs };
}
