import type { DriverContext, Status } from '@posthorn/core';

/**
 * One status for two connections: connected when both are, else the worse of them. Their generations differ, so the
 * pair has one of its own.
 */
export class JointStatus {
  readonly #context: DriverContext;
  readonly #parts: [Status | undefined, Status | undefined] = [undefined, undefined];
  #told: Status['state'] | undefined;
  #generation = 1;

  constructor(context: DriverContext) {
    this.#context = context;
  }

  /** The context for one of the two. */
  part(index: 0 | 1): DriverContext {
    return {
      ...this.#context,
      onStatus: (status) => {
        this.#parts[index] = status;
        this.#tell(status);
      },
    };
  }

  #tell(latest: Status): void {
    const [one, other] = this.#parts;
    if (one === undefined || other === undefined) return;
    const both = [latest, one, other];
    const worst =
      both.find(({ state }) => state === 'disconnected') ?? both.find(({ state }) => state === 'blocked') ?? latest;
    // Both close together: what the first leaves behind is nobody's state.
    if (one.state !== other.state && (one.state === 'closed' || other.state === 'closed')) return;
    if (worst.state === this.#told && (worst.state !== 'disconnected' || worst !== latest)) return;
    if (worst.state === 'connected' && this.#told === 'disconnected') this.#generation++;
    this.#told = worst.state;
    this.#context.onStatus(worst.state === 'connected' ? { ...worst, generation: this.#generation } : worst);
  }
}
