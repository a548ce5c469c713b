import type { Socket } from 'node:net';
import { type Logger, type MemoryBroker, messageOf, newId } from '@posthorn/core';
import { answer, type Connection, type Context, closeNow, type Session } from '../rhea.ts';
import { type Intake, type Limits, openIntake } from './intake.ts';
import { type Outlet, openOutlet, type Road } from './outlet.ts';
import { roomIn, type ServedReceiver, type ServedSender, serveSession } from './served-session.ts';
import { PRODUCT } from './vocabulary.ts';

const IDLE_TIMEOUT_MS = 30_000;
const MAX_FRAME_BYTES = 65_536;
const MAX_SESSIONS = 4_096;
const MAX_LINKS = 4_096;
/** From the connection to its Open frame. */
const HANDSHAKE_MS = 10_000;
/** From our Close frame to the end. */
const FAREWELL_MS = 1_000;
/** What a client has not read yet, beyond which its links get no more. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** What all clients of a broker share. */
export interface House {
  readonly broker: MemoryBroker;
  readonly logger: Logger;
  readonly version: string;
  readonly limits: Limits;
  readonly authenticate: ((username: string, password: string) => boolean) | undefined;
}

/** One client's connection, and its links. */
export class Client implements Road {
  /** Resolves when the connection has ended and all that it held is given back. */
  readonly gone: Promise<void>;
  readonly #house: House;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #outlets = new Map<unknown, Outlet>();
  readonly #intakes = new Map<unknown, Intake>();
  readonly #sessions = new Set<Session>();
  /** Outlets that wait for the socket or for their session. */
  readonly #waiting = new Set<Outlet>();
  readonly #handshake: NodeJS.Timeout;
  /** Handed to rhea in this turn of the event loop, and not in the socket's buffer yet. */
  #fresh = 0;
  #moving = false;
  #farewell: NodeJS.Timeout | undefined;
  #how: 'closed' | 'lost' = 'lost';

  constructor(socket: Socket, house: House) {
    this.#house = house;
    this.#socket = socket;
    this.#handshake = setTimeout(() => socket.destroy(), HANDSHAKE_MS);
    this.gone = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end();
        resolve();
      });
    });
    socket.on('drain', () => this.moved());
    this.#connection = answer(
      socket,
      {
        containerId: newId(),
        properties: { product: PRODUCT, version: house.version },
        capabilities: ['ANONYMOUS-RELAY', 'DELAYED_DELIVERY'],
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        maxFrameBytes: MAX_FRAME_BYTES,
        maxSessions: MAX_SESSIONS,
        authenticate: house.authenticate,
      },
      (event, context) => this.#onEvent(event, context),
    );
  }

  /** Ends the connection, in good order if the client takes part in it. */
  async close(): Promise<void> {
    this.#bid('amqp:connection:forced', 'the broker was stopped');
    await this.gone;
  }

  isOpen(outlet: Outlet): boolean {
    const unread = this.#fresh + this.#socket.writableLength;
    if (!this.#socket.destroyed && unread < MAX_UNREAD_BYTES && roomIn(outlet.session) > 0) return true;
    this.wait(outlet);
    return false;
  }

  wait(outlet: Outlet): void {
    this.#waiting.add(outlet);
  }

  wrote(bytes: number): void {
    this.#fresh += bytes;
    this.moved();
  }

  moved(): void {
    if (this.#moving) return;
    this.#moving = true;
    // In the ticks before, rhea writes what it was handed, and lets go of what was settled.
    setImmediate(() => {
      this.#moving = false;
      this.#fresh = 0;
      const waiting = [...this.#waiting];
      this.#waiting.clear();
      for (const outlet of waiting) outlet.wake();
    });
  }

  #onEvent(event: string, context: Context): void {
    try {
      this.#react(event, context);
    } catch (error) {
      this.#house.logger.error({ err: error, event }, 'the broker failed; the connection is closed');
      this.#bid('amqp:internal-error', messageOf(error));
    }
  }

  #react(event: string, context: Context): void {
    const { session, sender, receiver } = context;
    const { broker, limits } = this.#house;
    switch (event) {
      case 'connection_open':
        return clearTimeout(this.#handshake);
      case 'session_open':
        return this.#begin(session);
      case 'sender_open': {
        const outlet = this.#hasRoomFor(sender) && openOutlet(sender as unknown as ServedSender, broker, this);
        if (outlet) this.#outlets.set(sender, outlet);
        return;
      }
      case 'receiver_open': {
        const link = receiver as unknown as ServedReceiver;
        const intake = this.#hasRoomFor(receiver) && openIntake(link, broker, limits);
        if (intake) this.#intakes.set(receiver, intake);
        return;
      }
      case 'sender_close':
        this.#outlets.get(sender)?.close('closed');
        return void this.#outlets.delete(sender);
      case 'receiver_close':
        return void this.#intakes.delete(receiver);
      case 'session_close':
        return this.#drop(session);
      case 'connection_close':
        this.#how = 'closed';
        return;
      case 'protocol_error':
      case 'error': {
        // It comes by itself, without a context.
        const text = messageOf(context instanceof Error ? context : context.error);
        this.#house.logger.warn({ error: text }, 'a client broke the protocol; its connection is closed');
        return this.#bid('amqp:framing-error', text);
      }
    }
  }

  #begin(session: Session | undefined): void {
    if (session === undefined) return;
    this.#sessions.add(session);
    if (this.#sessions.size > MAX_SESSIONS) return this.#bid('amqp:resource-limit-exceeded', 'too many sessions');
    serveSession(
      session,
      (link, frame) => this.#intakes.get(link)?.takes(frame) ?? false,
      () => this.moved(),
    );
  }

  #hasRoomFor(link: { close(error: object): void } | undefined): boolean {
    if (this.#outlets.size + this.#intakes.size < MAX_LINKS) return true;
    link?.close({ condition: 'amqp:resource-limit-exceeded', description: `more than ${MAX_LINKS} links` });
    return false;
  }

  /** A session ended: its links are not told of it one by one. */
  #drop(session: Session | undefined): void {
    if (session !== undefined) this.#sessions.delete(session);
    for (const [link, outlet] of this.#outlets) {
      if ((link as { readonly session: Session }).session !== session) continue;
      outlet.close('closed');
      this.#outlets.delete(link);
    }
    for (const link of this.#intakes.keys())
      if ((link as { readonly session: Session }).session === session) this.#intakes.delete(link);
  }

  #bid(condition: string, description: string): void {
    if (this.#farewell !== undefined) return;
    this.#farewell = setTimeout(() => this.#socket.destroy(), FAREWELL_MS);
    closeNow(this.#connection, { condition, description });
  }

  #end(): void {
    clearTimeout(this.#handshake);
    clearTimeout(this.#farewell);
    for (const outlet of this.#outlets.values()) outlet.close(this.#how);
    this.#outlets.clear();
    this.#intakes.clear();
    this.#waiting.clear();
  }
}
