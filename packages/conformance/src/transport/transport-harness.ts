import type { Transport, TransportOptions } from '@posthorn/core';

/** What the scenarios need from a driver's author. */
export interface TransportHarness {
  /** One more transport, all of them to one broker: `(options) => Transport.open((context) => spool(url, context), options)`. */
  connect(options?: TransportOptions): Promise<Transport>;
  /** Titles of scenarios known to fail; one that passes fails the run, so that the list stays true. */
  readonly knownGaps?: readonly string[];
}
