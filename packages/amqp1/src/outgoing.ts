import { writeTransfer } from './frames.ts';

export type SendOutcome = 'accepted' | 'released' | 'rejected' | 'modified';

/** What became of a message; `error` is the peer's. Must not throw. */
export type OnEnd = (outcome: SendOutcome, error: unknown) => void;

/** What a peer says of messages of ours. */
export interface Verdict {
  readonly first: number;
  readonly last?: number | null | undefined;
  readonly settled?: boolean;
  readonly state?: unknown;
}

/** Reads the state of a verdict; undefined where it is no outcome, or not yet. */
export type ReadOutcome = (state: unknown) => { readonly outcome: SendOutcome; readonly error: unknown } | undefined;

/** A sending link, as far as its session looks at it. */
export interface SendingLink {
  credit: number;
  delivery_count: number;
  readonly local: { readonly handle: number; readonly attach: { readonly snd_settle_mode?: number } };
}

interface Road {
  readonly max_frame_size?: number | null;
  readonly socket: { write(bytes: Uint8Array): unknown };
}

interface Sent {
  readonly id: number;
  readonly link: SendingLink;
  readonly bytes: Uint8Array;
  readonly settled: boolean;
  /** How many bytes are written. */
  written: number;
}

interface FlowFields {
  readonly next_incoming_id?: number | null;
  readonly incoming_window: number;
}

/** Head and fields of a transfer, and some to spare. */
const FRAME_BYTES = 64;

/**
 * The sending half of a session, in place of rhea's: it writes at once what there is credit for, in frames of its own
 * making, and tells each transfer's end to whom it concerns. What finds the session's window closed waits, in order.
 */
export class Outgoing {
  // Names that rhea reads.
  next_transfer_id = 0;
  window = 0xffff_ffff;
  remote_window = 0;
  readonly deliveries = { available: (): number => this.#capacity - this.#open.size };
  readonly #road: Road;
  readonly #channel: number;
  readonly #capacity: number;
  readonly #outcomeOf: ReadOutcome;
  /** Without an outcome yet, by id. */
  readonly #open = new Map<number, OnEnd>();
  /** Not, or not wholly, written. */
  readonly #waiting: Sent[] = [];
  #nextId = 0;
  #remoteNextId = 0;

  constructor(road: Road, channel: number, capacity: number, outcomeOf: ReadOutcome) {
    this.#road = road;
    this.#channel = channel;
    this.#capacity = capacity;
    this.#outcomeOf = outcomeOf;
  }

  available(): number {
    return this.deliveries.available();
  }

  /** How many transfers the peer takes at present. */
  transfer_window(): number {
    return this.remote_window - ((this.next_transfer_id - this.#remoteNextId) >>> 0);
  }

  /** How many messages can be written at once by this link. */
  roomFor({ credit }: SendingLink): number {
    return this.#waiting.length > 0 ? 0 : Math.min(credit, this.transfer_window(), this.available());
  }

  /** As rhea's links send: nobody hears of the end. */
  send(link: SendingLink, _tag: unknown, bytes: Uint8Array): { readonly id: number; settled: boolean } {
    const settled = link.local.attach.snd_settle_mode === 1;
    return { id: this.transfer(link, bytes, settled, () => {}), settled };
  }

  /** Sends, and returns the id by which it can be forgotten. What is settled has no end. */
  transfer(link: SendingLink, bytes: Uint8Array, settled: boolean, onEnd: OnEnd): number {
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    if (!settled) this.#open.set(id, onEnd);
    this.#waiting.push({ id, link, bytes, settled, written: 0 });
    this.process();
    return id;
  }

  /** Its end is no longer of interest. */
  forget(id: number): void {
    this.#open.delete(id);
  }

  /** Writes what can be written. */
  process(): void {
    while (this.#waiting.length > 0) {
      const [sent] = this.#waiting;
      if (sent === undefined || !this.#write(sent)) return;
      this.#waiting.shift();
    }
  }

  /** Whether all of it is written. */
  #write(sent: Sent): boolean {
    const { id, link, bytes, settled } = sent;
    if (link.credit <= 0) return false;
    const { max_frame_size: mostBytes, socket } = this.#road;
    const most = mostBytes ? mostBytes - FRAME_BYTES : bytes.length;
    do {
      if (this.transfer_window() <= 0) return false;
      const end = Math.min(sent.written + most, bytes.length);
      const part = sent.written === 0 && end === bytes.length ? bytes : bytes.subarray(sent.written, end);
      this.next_transfer_id = (this.next_transfer_id + 1) >>> 0;
      sent.written = end;
      socket.write(writeTransfer(this.#channel, link.local.handle, id, settled, end < bytes.length, part));
    } while (sent.written < bytes.length);
    link.credit--;
    link.delivery_count++;
    return true;
  }

  on_begin({ incoming_window }: FlowFields): void {
    this.remote_window = incoming_window;
  }

  on_flow({ next_incoming_id, incoming_window }: FlowFields): void {
    // Absent while the peer has not seen our begin.
    this.#remoteNextId = next_incoming_id ?? 0;
    this.remote_window = incoming_window;
  }

  on_disposition({ first, last, settled, state }: Verdict): void {
    const read = state === undefined || state === null ? undefined : this.#outcomeOf(state);
    if (read === undefined && !settled) return;
    // Settled without an outcome: the peer does not say, and nothing speaks against it.
    const { outcome, error } = read ?? { outcome: 'accepted', error: undefined };
    const count = (((last ?? first) - first) >>> 0) + 1;
    const ids = count <= this.#open.size ? range(first, count) : [...this.#open.keys()];
    for (const id of ids) {
      if ((id - first) >>> 0 >= count) continue;
      const onEnd = this.#open.get(id);
      this.#open.delete(id);
      onEnd?.(outcome, error);
    }
  }
}

/** Ids are 32 bits wide, and wrap. */
function range(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => (first + index) >>> 0);
}
