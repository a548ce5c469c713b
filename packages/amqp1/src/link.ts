import { ConnectionError, Lifeline, type SupervisedLink } from '@posthorn/core';
import { linkError } from './errors.ts';
import { Flusher } from './flusher.ts';
import type { Peer } from './profile.ts';
import {
  type Connection,
  createSession,
  cut,
  isAgreed,
  type Receiver,
  type Sender,
  type Session,
  sendAtOnce,
  takeClocks,
  tuneSession,
} from './rhea.ts';

const DETACH_MS = 5_000;
const SESSION_SIZE = 2_048;
const LOST_CHANNELS = 8;
const NONE: ReadonlySet<number> = new Set();

/** A link of AMQP that the peer agreed to. */
export interface Attached<L extends Sender | Receiver> {
  readonly link: L;
  readonly open: boolean;
  /** Detaches, and resolves when the peer did too, or after a while. */
  close(): Promise<void>;
}

export interface AttachOptions {
  /** Told once, when the peer takes the link away; not when the connection is lost. */
  readonly onGone: (error: Error) => void;
  /** Deliveries that are not settled, at most. */
  readonly size?: number;
  /** Where it belongs to another link: that one's. */
  readonly session?: Session;
  /** Told the peer's window of transfers: 0 when it refuses to read. */
  readonly onWindow?: (window: number) => void;
}

/**
 * One generation of the connection: what is made from it dies with it.
 *
 * rhea has no promises; `guard` ends ours with the link or after a time.
 */
export class Link implements SupervisedLink {
  readonly connection: Connection;
  readonly generation: number;
  readonly host: string;
  readonly peer: Peer;
  readonly flusher: Flusher;
  readonly #lifeline = new Lifeline();
  /** What each session bears: whom to tell when the peer ends it. */
  readonly #sessions = new Map<Session, Set<() => void>>();
  readonly #mostSessions: number;
  /**
   * Those of sessions that the peer ended: RabbitMQ 4.0 may take what comes on the channel of a session that died of an error for that
   * one's, and answers nothing.
   */
  readonly #lostChannels = new Set<number>();
  readonly #heartbeat: NodeJS.Timeout | undefined;

  constructor(connection: Connection, generation: number, host: string) {
    this.connection = connection;
    this.generation = generation;
    this.host = host;
    this.peer = peerOf(connection);
    this.flusher = new Flusher(connection.socket);
    this.#mostSessions = (connection.remote.open?.channel_max ?? 65_535) + 1;
    const idleMs = takeClocks(connection);
    if (idleMs === undefined) return;
    let written = connection.socket.bytesWritten;
    this.#heartbeat = setInterval(() => {
      const { bytesWritten } = connection.socket;
      if (bytesWritten === undefined || bytesWritten === written) connection._write_frame();
      written = connection.socket.bytesWritten;
    }, idleMs / 3);
  }

  get down(): Error | undefined {
    return this.#lifeline.down;
  }

  get bytesRead(): number | undefined {
    return this.connection.socket.bytesRead;
  }

  /** Marks the link as dead and ends what is guarded. */
  fail(error: Error): void {
    if (this.down !== undefined) return;
    this.#lifeline.cut(error);
    clearInterval(this.#heartbeat);
    this.flusher.close();
  }

  /** The promise, or the link's end, or the end of the time, whichever is first. */
  guard<T>(operation: Promise<T>, what: string, timeoutMs?: number): Promise<T> {
    return this.#lifeline.guard(operation, what, timeoutMs);
  }

  /**
   * Attaches a link, on a session of its own: RabbitMQ 3.10 and 4.0 end the session of an attach that they refuse, and in
   * rhea a link without credit holds up the others of its session. Beyond the peer's limit, links share sessions.
   */
  async attach<L extends Sender | Receiver>(
    open: (session: Session) => L,
    what: string,
    options: AttachOptions,
  ): Promise<Attached<L>> {
    if (this.down !== undefined) throw this.down;
    const session = this.#session(options);
    let state: 'opening' | 'open' | 'closed' = 'opening';
    let gone: (error: Error) => void = () => {};
    let detached: () => void = () => {};
    let ended: () => void = () => {};
    const link = open(session);
    const opened = new Promise<void>((resolve, reject) => {
      const role = link.is_sender() ? 'sender' : 'receiver';
      const lost = (source: { readonly error?: unknown }): void => {
        detached();
        if (state === 'closed') return;
        const error = linkError(source.error ?? new ConnectionError(`${what}: taken away by the peer`), what);
        if (state === 'opening') reject(error);
        state = 'closed';
        this.#release(session, ended);
        gone(error);
      };
      ended = () => lost(session);
      this.#sessions.get(session)?.add(ended);
      link.on(`${role}_open`, () => {
        if (isAgreed(link) && state === 'opening') resolve();
      });
      for (const event of ['error', 'close']) link.on(`${role}_${event}`, () => lost(link));
    });
    try {
      await this.guard(opened, what);
    } catch (error) {
      if (state === 'opening') {
        state = 'closed';
        quietly(() => link.close());
        this.#release(session, ended);
      }
      throw error;
    }
    state = 'open';
    gone = options.onGone;
    const isOpen = (): boolean => state === 'open' && this.down === undefined;
    return {
      link,
      get open() {
        return isOpen();
      },
      close: async () => {
        if (!isOpen()) return;
        state = 'closed';
        const answered = new Promise<void>((resolve) => {
          detached = resolve;
        });
        link.close();
        this.flusher.touch();
        await this.guard(answered, `detaching: ${what}`, DETACH_MS).catch(() => undefined);
        this.#release(session, ended);
      },
    };
  }

  /** Closes the connection politely, and cuts it when that takes too long. */
  async close(timeoutMs: number): Promise<void> {
    const { connection } = this;
    try {
      const closed = new Promise<void>((resolve) => {
        for (const event of ['connection_close', 'connection_error', 'disconnected'])
          connection.on(event, () => resolve());
        connection.close();
      });
      await this.guard(closed, 'closing the connection', timeoutMs);
    } catch {
      // Cut below.
    }
    // What rhea still has to say is said in a later tick.
    setImmediate(() => this.destroy());
  }

  /** Cuts the socket at once. */
  destroy(): void {
    cut(this.connection);
  }

  #session({ size = SESSION_SIZE, session: given, onWindow }: AttachOptions): Session {
    if (given !== undefined) return given;
    const capacity = Math.max(SESSION_SIZE, size);
    const create = (avoided: ReadonlySet<number>): Session | undefined =>
      createSession(this.connection, capacity, this.#mostSessions, avoided);
    const session = create(this.#lostChannels) ?? this.#leastLoaded() ?? create(NONE);
    if (session === undefined) throw new ConnectionError('all sessions that the peer allows are about to end');
    if (this.#sessions.has(session)) return session;
    tuneSession(session, capacity, onWindow);
    sendAtOnce(session, capacity);
    const links = new Set<() => void>();
    this.#sessions.set(session, links);
    const end = (): void => {
      this.#sessions.delete(session);
      this.#avoid(session.local.channel);
      for (const ended of [...links]) ended();
    };
    for (const event of ['session_error', 'session_close']) session.on(event, end);
    session.begin();
    return session;
  }

  /** The session with the fewest links. */
  #leastLoaded(): Session | undefined {
    const [least] = [...this.#sessions].sort(([, one], [, other]) => one.size - other.size);
    return least?.[0];
  }

  #avoid(channel: number): void {
    this.#lostChannels.add(channel);
    const [oldest] = this.#lostChannels;
    if (oldest !== undefined && this.#lostChannels.size > LOST_CHANNELS) this.#lostChannels.delete(oldest);
  }

  #release(session: Session, ended: () => void): void {
    const links = this.#sessions.get(session);
    if (links === undefined) return;
    links.delete(ended);
    if (links.size > 0) return;
    this.#sessions.delete(session);
    if (this.down === undefined && session.is_open()) quietly(() => session.close());
  }
}

const NO_LIMIT = 2 ** 32 - 1;

function peerOf(connection: Connection): Peer {
  const open = connection.remote.open ?? {};
  const { properties, offered_capabilities: offered } = open;
  const text = (name: string): string | undefined => {
    const value = properties?.[name];
    return value === undefined || value === null ? undefined : String(value);
  };
  return {
    product: text('product'),
    version: text('version'),
    capabilities: offered === undefined || offered === null ? [] : [offered].flat().map(String),
    limits: {
      heartbeatMs: open.idle_time_out ?? 0,
      // By the protocol, no limit is said as the highest number.
      frameMax: (open.max_frame_size ?? NO_LIMIT) >= NO_LIMIT ? 0 : open.max_frame_size,
      // The highest number, which begins at 0.
      channelMax: (open.channel_max ?? 65_535) + 1,
    },
  };
}

/** rhea throws when it is asked to close what has just gone. */
function quietly(task: () => void): void {
  try {
    task();
  } catch {
    // Gone already.
  }
}
