import type { Driver, DriverContext } from '@posthorn/core';

/**
 * What the suite needs from a driver's author. Drivers from one harness talk to one broker.
 *
 * A missing ability skips the cases that need it, by name. The abilities are looked at when a case runs, so that a
 * `before` hook around the suite can find out what there is.
 */
export interface Harness {
  connect(context: DriverContext): Promise<Driver>;
  /** Cuts the driver's connection abruptly, as a network would. The driver can connect again at once. */
  breakConnection?(driver: Driver): Promise<void>;
  /** Restarts the broker with its data. */
  restart?(): Promise<void>;
  /** Makes the broker refuse to read (memory alarm); returns how to end it. */
  block?(): Promise<() => Promise<void>>;
  /** Troubles that cannot befall this broker, such as a lost connection where there is none: no cases are about them. */
  readonly never?: readonly Ability[];
  /** Titles of cases known to fail; one that passes fails the run, so that the list stays true. */
  readonly knownGaps?: readonly string[];
}

export type Ability = 'breakConnection' | 'restart' | 'block';
