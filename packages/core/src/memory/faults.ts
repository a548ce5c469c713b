import type { Address } from '../address.ts';

/** What a memory connection lets faults do to it. */
export interface Faulty {
  down(): void;
  up(): void;
  setBlocked(reason: string | undefined): void;
  deleteQueue(address: Address): void;
}

/** What the next send meets: it is routed and the connection lost before its confirm; it is refused; it is routed twice; nothing. */
export type SendFault = 'cut' | 'refuse' | 'duplicate' | 'none';

/**
 * Troubles for memory transports, at the moment a test asks for them:
 *
 * ```ts
 * const faults = new MemoryFaults();
 * const transport = await connect('memory://', { memory: { faults } });
 * faults.disconnect();
 * ```
 *
 * They act on every transport that was opened with them. Time is the process's: with fake timers all of it is virtual,
 * the broker's included.
 */
export class MemoryFaults {
  readonly #connections = new Set<Faulty>();
  readonly #sends: SendFault[] = [];

  /** Cuts the connections. Sends wait, reply addresses end, what was unsettled goes back. */
  disconnect(): void {
    for (const connection of this.#connections) connection.down();
  }

  reconnect(): void {
    for (const connection of this.#connections) connection.up();
  }

  /** The broker stops taking messages, as RabbitMQ does in a memory alarm. Deliveries and settlements go on. */
  block(reason = 'memory alarm'): void {
    for (const connection of this.#connections) connection.setBlocked(reason);
  }

  unblock(): void {
    for (const connection of this.#connections) connection.setBlocked(undefined);
  }

  /** Deletes the queue behind an address, with its messages, under its consumers. */
  deleteQueue(address: Address): void {
    for (const connection of this.#connections) connection.deleteQueue(address);
  }

  /** Scripts the sends to come, in order: one fault each. */
  nextSends(...faults: readonly SendFault[]): void {
    this.#sends.push(...faults);
  }

  /** @internal */
  takeSendFault(): SendFault | undefined {
    return this.#sends.shift();
  }

  /** @internal */
  attach(connection: Faulty): () => void {
    this.#connections.add(connection);
    return () => void this.#connections.delete(connection);
  }
}
