import type { Socket } from 'node:net';

/** What a lane obeys; owned by the proxy, the same object for all of its lanes. */
export interface LaneGate {
  /** Milliseconds every byte is held back, per direction. */
  latencyMs: number;
  frozen: boolean;
}

/** What goes down a lane: bytes, the end of them (FIN), an abort (RST), or the last bytes before a cut. */
type Parcel = { readonly dueAt: number } & (
  | { readonly kind: 'bytes'; readonly chunk: Buffer }
  | { readonly kind: 'end' | 'abort' | 'cut' }
);

const HELD_BYTES_MAX = 1024 * 1024;

/** Carries bytes from one socket to another, in order: late, not at all for a while, or until a cut. */
export class ProxyLane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #gate: LaneGate;
  readonly #onCut: () => void;
  #queue: Parcel[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #waitsForDrain = false;
  #cutting = false;

  /** @param onCut called when the last bytes before a cut have been handed to the kernel */
  constructor(from: Socket, to: Socket, gate: LaneGate, onCut: () => void) {
    this.#from = from;
    this.#to = to;
    this.#gate = gate;
    this.#onCut = onCut;
    from.on('end', () => this.#put({ kind: 'end' }));
    from.on('error', () => {}); // 'close' follows and says hadError
    from.on('close', (hadError) => {
      if (hadError) this.#put({ kind: 'abort' });
    });
    to.on('drain', () => {
      this.#waitsForDrain = false;
      this.pump();
    });
  }

  send(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#heldBytes += chunk.length;
    this.#put({ kind: 'bytes', chunk });
  }

  /** Ends the lane behind what was sent so far: that still arrives, nothing after it does. */
  cut(): void {
    this.#put({ kind: 'cut' });
    this.#cutting = true;
    this.#from.destroy();
  }

  /** Hands over what is due; to be called after a thaw. */
  pump(): void {
    clearTimeout(this.#timer);
    while (!this.#gate.frozen && !this.#waitsForDrain) {
      const parcel = this.#queue[0];
      if (!parcel) break;
      const waitMs = parcel.dueAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.pump(), waitMs);
        break;
      }
      this.#queue.shift();
      this.#deliver(parcel);
    }
    // A frozen lane reads nothing either: the sender shall feel the full window, as with a dead network.
    if (this.#gate.frozen || this.#heldBytes > HELD_BYTES_MAX) this.#from.pause();
    else this.#from.resume();
  }

  discard(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#cutting = true;
  }

  #put(parcel: { kind: 'bytes'; chunk: Buffer } | { kind: 'end' | 'abort' | 'cut' }): void {
    if (this.#cutting) return;
    // Never before what is queued already, also when the latency was lowered meanwhile.
    const dueAt = Math.max(performance.now() + this.#gate.latencyMs, this.#queue.at(-1)?.dueAt ?? 0);
    this.#queue.push({ dueAt: this.#gate.latencyMs === 0 && this.#queue.length === 0 ? 0 : dueAt, ...parcel });
    this.pump();
  }

  #deliver(parcel: Parcel): void {
    if (parcel.kind === 'bytes') {
      this.#heldBytes -= parcel.chunk.length;
      if (this.#to.writable) this.#waitsForDrain = !this.#to.write(parcel.chunk);
    } else if (parcel.kind === 'abort') this.#to.resetAndDestroy();
    else if (parcel.kind === 'end') this.#to.end();
    else if (this.#to.writable) this.#to.end(this.#onCut);
    else this.#onCut();
  }
}
