import type { Status } from './status.ts';

/**
 * A snapshot for probes; taking one does nothing to the connection.
 *
 * `unknown`: not connected yet. `healthy`: connected. `degraded`: connected, but blocked by the broker, or reconnected a
 * short while ago. `unhealthy`: not connected, or closed.
 */
export interface Health {
  readonly state: 'unknown' | 'healthy' | 'degraded' | 'unhealthy';
  /** The last loss of the connection, or why the broker blocks. */
  readonly lastError: Error | undefined;
  /** How often the connection was lost and came back. */
  readonly reconnects: number;
  /** How many deliveries were settled too late: their connection was gone, and the broker delivers them again. */
  readonly lateSettlements: number;
  /** When it was last known to be connected and not blocked. */
  readonly lastOk: Date | undefined;
}

/** After a reconnect it is `degraded` for this long. */
const RECENT_MS = 60_000;

/** Keeps what `Health` needs out of what the driver tells. */
export class HealthRecord {
  #status: Status | undefined;
  #lastError: Error | undefined;
  #reconnects = 0;
  #lateSettlements = 0;
  #reconnectedAt = Number.NEGATIVE_INFINITY;
  #lastOk: Date | undefined;

  tell(status: Status): void {
    const wasLost = this.#status?.state === 'disconnected';
    if (this.#status?.state === 'connected') this.#lastOk = new Date();
    this.#status = status;
    switch (status.state) {
      case 'connected':
        if (!wasLost) return;
        this.#reconnects++;
        this.#reconnectedAt = performance.now();
        return;
      case 'blocked':
        this.#lastError = new Error(`blocked by the broker: ${status.reason}`);
        return;
      case 'disconnected':
        this.#lastError = status.error;
        return;
      case 'closed':
        return;
    }
  }

  settledLate(): void {
    this.#lateSettlements++;
  }

  snapshot(): Health {
    return {
      state: this.#state(),
      lastError: this.#lastError,
      reconnects: this.#reconnects,
      lateSettlements: this.#lateSettlements,
      lastOk: this.#status?.state === 'connected' ? new Date() : this.#lastOk,
    };
  }

  #state(): Health['state'] {
    switch (this.#status?.state) {
      case undefined:
        return 'unknown';
      case 'connected':
        return performance.now() - this.#reconnectedAt < RECENT_MS ? 'degraded' : 'healthy';
      case 'blocked':
        return 'degraded';
      case 'disconnected':
      case 'closed':
        return 'unhealthy';
    }
  }
}
