import { backOffMs } from '@posthorn/core';

/** How long a process waits before an attempt to connect, when so many have failed in a row. */
export type Pauses = (attempt: number, random: () => number) => number;

/** Ours: the very function that the driver uses. */
export function posthorn({ reconnectMinMs = 100, reconnectMaxMs = 30_000 } = {}): Pauses {
  return (attempt, random) => backOffMs(attempt, { reconnectMinMs, reconnectMaxMs }, random);
}

/** The same pause each time. */
export function fixed(ms: number): Pauses {
  return () => ms;
}

/**
 * oslo.messaging 14.0.3 with its defaults (read in its source and kombu's): `kombu_reconnect_delay` of 1 s before each
 * attempt, and each time that all hosts have failed 1, 3, 5 … 31 s more. No jitter.
 */
export function oslo(hosts: number): Pauses {
  return (attempt) => {
    const rounds = attempt / hosts;
    return 1_000 + (rounds >= 1 && Number.isInteger(rounds) ? Math.min(2 * rounds - 1, 31) * 1_000 : 0);
  };
}
