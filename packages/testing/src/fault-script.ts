import { ConfigError, type MemoryFaults } from '@posthorn/core';

/** What happens, and how many milliseconds after the script was started. */
export interface Step {
  readonly atMs: number;
  readonly fault: 'disconnect' | 'reconnect' | 'block' | 'unblock';
}

/**
 * Lets troubles happen at their times, by the timers of the process: under a `VirtualClock` exactly then. Disposing it calls off
 * what has not happened yet.
 *
 * ```ts
 * using script = playFaults(faults, [{ atMs: 1_000, fault: 'disconnect' }, { atMs: 4_000, fault: 'reconnect' }]);
 * ```
 */
export function playFaults(faults: MemoryFaults, steps: readonly Step[]): Disposable {
  for (const [index, { atMs }] of steps.entries())
    if (!(atMs >= 0)) throw new ConfigError(`steps.${index}.atMs`, 'expected milliseconds of 0 or more');
  const timers = steps.map(({ atMs, fault }) => setTimeout(() => faults[fault](), atMs));
  return {
    [Symbol.dispose]: () => {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}
