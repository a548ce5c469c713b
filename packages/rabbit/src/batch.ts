import type { Socket } from 'node:net';
import { MalformedError } from '@posthorn/core';
import type { Model, Publish } from './amqplib.ts';
import { FRAME_OVERHEAD } from './frame-format.ts';
import {
  publishBytes,
  SETTLEMENT_BYTES,
  writeAck,
  writeBodyHead,
  writeEnd,
  writeNack,
  writePublish,
} from './frames.ts';

const NOTHING = Buffer.alloc(0);
const SLAB_BYTES = 65_536;
/** Longer bodies are handed to the socket as they are, and not copied. */
const LONGEST_COPIED = 16_384;

/** Writes its settlements, when a batch is about to leave. */
export interface Settling {
  writeSettlements(): void;
}

/**
 * What one turn of the event loop writes, in one piece: the frames of messages and settlements, encoded one behind the
 * other, go to the socket in one call.
 *
 * amqplib's own methods go through its multiplexer, later than what is here: whoever closes a channel flushes first. Both
 * write whole frames, and no two messages share a channel with amqplib's, so that nothing can come between the frames of
 * one.
 */
export class Batch {
  readonly #connection: Model['connection'];
  readonly #mostPayload: number;
  #slab: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  /** Finished pieces before the one in the slab. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  #scheduled = false;
  #closed = false;
  #waiting: ((written: boolean) => void)[] = [];
  #settling: Settling[] = [];

  constructor(model: Pick<Model, 'connection'>) {
    this.#connection = model.connection;
    const { frameMax } = model.connection;
    this.#mostPayload = (frameMax > 0 ? frameMax : 131_072) - FRAME_OVERHEAD;
  }

  /** @throws {MalformedError} what does not fit into a frame */
  publish(channel: number, exchange: string, key: string, properties: Publish, body: Buffer): void {
    const { length } = body;
    const isCopied = length <= LONGEST_COPIED && length <= this.#mostPayload;
    const most = publishBytes(exchange, key, properties);
    this.#reserve(most + (isCopied ? length + FRAME_OVERHEAD : 0));
    const slab = this.#slab;
    let at = writePublish(slab, this.#end, channel, exchange, key, properties, length);
    // The method frame is never that long.
    if (at - this.#end > this.#mostPayload)
      throw new MalformedError(`headers of ${at - this.#end} bytes, where a frame has room for ${this.#mostPayload}`);
    if (isCopied && length > 0) {
      at = writeBodyHead(slab, at, channel, length);
      at = writeEnd(slab, at + body.copy(slab, at));
    }
    this.#end = at;
    if (!isCopied) this.#addBody(channel, body);
    this.#schedule();
  }

  ack(channel: number, tag: number, multiple: boolean): void {
    this.#reserve(SETTLEMENT_BYTES);
    this.#end = writeAck(this.#slab, this.#end, channel, tag, multiple);
    this.#schedule();
  }

  nack(channel: number, tag: number, requeue: boolean): void {
    this.#reserve(SETTLEMENT_BYTES);
    this.#end = writeNack(this.#slab, this.#end, channel, tag, requeue);
    this.#schedule();
  }

  /** Asks for the settlements, once, when the batch leaves. */
  enlist(settling: Settling): void {
    this.#settling.push(settling);
    this.#schedule();
  }

  /** Calls back when all that was written so far is with the operating system; with false when that is not known. */
  onWritten(callback: (written: boolean) => void): void {
    if (this.#closed) return callback(false);
    this.#waiting.push(callback);
    this.#schedule();
  }

  /** Bytes that the socket did not take yet. */
  get backlogBytes(): number {
    return this.#piecesBytes + this.#end - this.#start + (this.#connection.stream?.writableLength ?? 0);
  }

  /** Hands over what is there now. */
  flush(): void {
    if (this.#closed) return;
    this.#settle();
    this.#send();
  }

  close(): void {
    if (this.#closed) return;
    this.#settle();
    this.#closed = true;
    this.#takePieces();
    finish(this.#takeWaiting(), false);
  }

  #schedule(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    setImmediate(this.#leave);
  }

  readonly #leave = (): void => {
    if (!this.#closed) this.#settle();
    this.#scheduled = false;
    if (!this.#closed) this.#send();
  };

  #settle(): void {
    if (this.#settling.length === 0) return;
    const settling = this.#settling;
    this.#settling = [];
    for (const one of settling) one.writeSettlements();
  }

  #send(): void {
    const { stream } = this.#connection;
    const pieces = this.#takePieces();
    const waiting = this.#takeWaiting();
    if (stream === undefined || stream.destroyed || stream.writableEnded) return finish(waiting, false);
    if (pieces.length > 0) {
      write(stream, pieces);
      // amqplib need not send a heartbeat besides.
      this.#connection.sentSinceLastCheck = true;
    }
    if (waiting.length === 0) return;
    if (stream.writableLength === 0) return finish(waiting, true);
    stream.write(NOTHING, (error) => finish(waiting, !error && !this.#closed));
  }

  /** Makes room for that many bytes in one piece. */
  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#slab.length) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafe(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.#end = 0;
  }

  /** Ends the piece in the slab. */
  #cut(): void {
    if (this.#end === this.#start) return;
    this.#add(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #add(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#piecesBytes += piece.length;
  }

  #addBody(channel: number, body: Buffer): void {
    for (let from = 0; from < body.length; from += this.#mostPayload) {
      const part = body.subarray(from, from + this.#mostPayload);
      this.#reserve(FRAME_OVERHEAD);
      this.#end = writeBodyHead(this.#slab, this.#end, channel, part.length);
      this.#cut();
      this.#add(part);
      this.#reserve(1);
      this.#end = writeEnd(this.#slab, this.#end);
    }
  }

  #takePieces(): Buffer[] {
    this.#cut();
    const pieces = this.#pieces;
    if (pieces.length > 0) this.#pieces = [];
    this.#piecesBytes = 0;
    return pieces;
  }

  #takeWaiting(): ((written: boolean) => void)[] {
    const waiting = this.#waiting;
    if (waiting.length > 0) this.#waiting = [];
    return waiting;
  }
}

function write(stream: Socket, pieces: readonly Buffer[]): void {
  const isOne = pieces.length === 1;
  if (!isOne) stream.cork();
  for (const piece of pieces) stream.write(piece);
  if (!isOne) stream.uncork();
}

function finish(waiting: readonly ((written: boolean) => void)[], written: boolean): void {
  for (const callback of waiting) callback(written);
}
