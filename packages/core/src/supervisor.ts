import { onAbort } from './abort.ts';
import { type BackOffSettings, backOffMs } from './back-off.ts';
import type { DriverContext } from './driver.ts';
import { asError, ClosedError, ConfigError, ConnectionError, MessagingError, messageOf } from './errors.ts';
import { type Host, hostText, shuffled, type TransportUrl } from './url.ts';

/** One generation of a connection: what is made from it dies with it. */
export interface SupervisedLink {
  readonly host: string;
  readonly generation: number;
  /** Why it was lost. */
  readonly down: Error | undefined;
  /** What came from the peer so far; undefined where the socket does not count. */
  readonly bytesRead: number | undefined;
  /** Marks it as lost, and ends what waits for it. */
  fail(error: Error): void;
  /** Says goodbye, at most so long. Never rejects. */
  close(timeoutMs: number): Promise<void>;
  /** Cuts the socket at once. */
  destroy(): void;
}

/** Told what becomes of the links. Must not throw. */
export interface LinkListener<Link> {
  /** A new link is there: open channels, restore. */
  up?(link: Link): void;
  down?(link: Link, error: Error): void;
  /** The broker stopped reading, or went on. */
  blocked?(reason: string | undefined): void;
}

export interface SupervisorSettings extends BackOffSettings {
  readonly hosts: 'random' | 'given';
  /** For one attempt to connect to one host. */
  readonly connectTimeoutMs: number;
  /** At start, go on trying for this long. */
  readonly connectWithinMs?: number | undefined;
}

/** What a driver does itself. */
export interface Dialer<Link> {
  /** `AMQP 0-9-1`, for errors. */
  readonly protocol: string;
  /** A link that brought nothing for this long is taken for dead. */
  readonly silentAfterMs: number;
  /** Makes a link, and tells `lost` when it dies. Gives up when the signal is aborted, and rejects with `MessagingError`. */
  open(host: Host, generation: number, signal: AbortSignal): Promise<Link>;
}

interface Waiter<Link> {
  readonly resolve: (link: Link) => void;
  readonly reject: (error: unknown) => void;
}

/** A link that lasted this long starts the back-off anew; one that is accepted and killed at once does not. */
const STABLE_MS = 1_000;
const MOST_FLAPS = 4;
const CLOSE_MS = 5_000;
/** How often it is looked whether a link is silent, within the time after which it is. */
const LOOKS = 8;

/**
 * Keeps one connection of a driver alive: hosts in turn, back-off with jitter, a generation number for each link.
 *
 * connecting → up ⇄ blocked → down → waiting → connecting → up …; any → closed
 */
export class Supervisor<Link extends SupervisedLink> {
  readonly #url: TransportUrl;
  readonly #hosts: readonly Host[];
  readonly #settings: SupervisorSettings;
  readonly #context: DriverContext;
  readonly #dialer: Dialer<Link>;
  readonly #listeners: LinkListener<Link>[] = [];
  readonly #waiting = new Set<Waiter<Link>>();
  #link: Link | undefined;
  #blocked = false;
  #generation = 0;
  #host = 0;
  #closed = false;
  #since = 0;
  /** How often in a row the link did not last. */
  #flaps = 0;
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #attempting: AbortController | undefined;

  constructor(url: TransportUrl, settings: SupervisorSettings, context: DriverContext, dialer: Dialer<Link>) {
    this.#url = url;
    this.#hosts = settings.hosts === 'random' ? shuffled(url.hosts) : url.hosts;
    this.#settings = settings;
    this.#context = context;
    this.#dialer = dialer;
  }

  get link(): Link | undefined {
    return this.#link;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  get closed(): boolean {
    return this.#closed;
  }

  listen(listener: LinkListener<Link>): void {
    this.#listeners.push(listener);
  }

  /**
   * The first link, which `begin` takes into use: each host is tried once, or for `connectWithinMs`. What can never work fails
   * at once.
   *
   * @throws {MessagingError}
   */
  async connect(): Promise<Link> {
    const { connectWithinMs = 0 } = this.#settings;
    const deadline = performance.now() + connectWithinMs;
    for (let attempt = 0; ; attempt++) {
      const failures: MessagingError[] = [];
      for (const _ of this.#hosts) {
        try {
          return await this.#attempt();
        } catch (error) {
          const failure =
            error instanceof MessagingError ? error : new ConnectionError(messageOf(error), { cause: error });
          if (failure.code !== 'CONNECTION') throw failure;
          failures.push(failure);
          this.#host++;
        }
      }
      const pauseMs = backOffMs(attempt, this.#settings);
      if (performance.now() + pauseMs >= deadline) {
        throw new ConnectionError(`cannot connect to ${this.#url}: ${failures.map(messageOf).join('; ')}`, {
          cause: failures[0],
        });
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /**
   * Takes a link into use: the first, and each that it makes itself later.
   *
   * @throws the reason why it is lost already
   */
  begin(link: Link): void {
    if (link.down !== undefined) throw link.down;
    this.#link = link;
    this.#since = performance.now();
    this.#watchSilence(link);
    this.#tellConnected(link);
    for (const listener of this.#listeners) listener.up?.(link);
    for (const { resolve } of this.#waiting) resolve(link);
    this.#waiting.clear();
  }

  /** The link, as soon as there is one. */
  ready(signal?: AbortSignal): Promise<Link> {
    if (this.#closed) return Promise.reject(new ClosedError('the transport'));
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#link !== undefined) return Promise.resolve(this.#link);
    return new Promise((resolve, reject) => {
      const waiter: Waiter<Link> = {
        resolve: (link) => {
          unlisten();
          resolve(link);
        },
        reject: (error) => {
          unlisten();
          reject(error);
        },
      };
      const unlisten = onAbort(signal, () => {
        this.#waiting.delete(waiter);
        reject(signal?.reason);
      });
      this.#waiting.add(waiter);
    });
  }

  /** The link is lost, whoever noticed it. The first reason counts. */
  lost(link: Link, error: Error): void {
    if (link.down !== undefined) return;
    link.fail(error);
    if (this.#link !== link) return;
    this.#link = undefined;
    this.#blocked = false;
    clearInterval(this.#watch);
    for (const listener of this.#listeners) listener.down?.(link, error);
    if (this.#closed) return this.#context.onStatus({ state: 'closed' });
    this.#context.logger.warn({ err: error, host: link.host }, 'connection lost, reconnecting');
    const stable = performance.now() - this.#since >= STABLE_MS;
    this.#flaps = stable ? 0 : Math.min(this.#flaps + 1, MOST_FLAPS);
    this.#scheduleRetry(error, this.#flaps);
  }

  /** The broker stopped reading what is sent on the link, with a reason, or went on. */
  setBlocked(link: Link, reason: string | undefined): void {
    if (this.#link !== link || this.#blocked === (reason !== undefined)) return;
    this.#blocked = reason !== undefined;
    if (reason === undefined) this.#tellConnected(link);
    else {
      this.#context.logger.warn({ reason }, 'the broker is blocked');
      this.#context.onStatus({ state: 'blocked', reason });
    }
    for (const listener of this.#listeners) listener.blocked?.(reason);
  }

  /** Says goodbye to the broker. With an aborted signal it cuts the connection instead. */
  async close(signal?: AbortSignal): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#attempting?.abort(new ClosedError('the transport'));
    for (const { reject } of this.#waiting) reject(new ClosedError('the transport'));
    this.#waiting.clear();
    const link = this.#link;
    if (link === undefined) return this.#context.onStatus({ state: 'closed' });
    const end = (): void => this.lost(link, new ClosedError('the transport'));
    const cut = (): void => {
      link.destroy();
      end();
    };
    if (signal?.aborted) cut();
    const unlisten = onAbort(signal, cut);
    await link.close(CLOSE_MS);
    unlisten();
    end();
  }

  async #attempt(): Promise<Link> {
    const host = this.#hosts[this.#host % this.#hosts.length];
    if (host === undefined) throw new ConfigError('url', 'no host to connect to');
    const { protocol } = this.#dialer;
    const attempt = new AbortController();
    const late = new ConnectionError(`${hostText(host)}: no answer in time: is this an ${protocol} broker?`);
    const timer = setTimeout(() => attempt.abort(late), this.#settings.connectTimeoutMs);
    this.#attempting = attempt;
    try {
      const link = await this.#dialer.open(host, this.#generation + 1, attempt.signal);
      this.#generation++;
      return link;
    } catch (error) {
      throw attempt.signal.aborted ? attempt.signal.reason : error;
    } finally {
      clearTimeout(timer);
      this.#attempting = undefined;
    }
  }

  #scheduleRetry(error: Error, attempt: number): void {
    const retryInMs = backOffMs(attempt, this.#settings);
    this.#context.onStatus({ state: 'disconnected', error, attempt, retryInMs });
    this.#retry = setTimeout(() => void this.#reconnect(attempt), retryInMs);
  }

  async #reconnect(attempt: number): Promise<void> {
    this.#host++;
    try {
      const link = await this.#attempt();
      if (this.#closed) return await link.close(CLOSE_MS);
      this.begin(link);
      this.#context.logger.info({ host: link.host, generation: link.generation }, 'connected again');
    } catch (error) {
      if (this.#closed) return;
      if (attempt === 0) this.#context.logger.warn({ err: error }, 'cannot reconnect yet');
      this.#scheduleRetry(asError(error), attempt + 1);
    }
  }

  /**
   * Judges by bytes read, and only after it has itself run in time: a stalled event loop has not heard anything either.
   */
  #watchSilence(link: Link): void {
    const { silentAfterMs } = this.#dialer;
    const stepMs = silentAfterMs / LOOKS;
    let bytes = link.bytesRead;
    if (bytes === undefined) return;
    let heard = performance.now();
    let looked = heard;
    this.#watch = setInterval(() => {
      const now = performance.now();
      const lateMs = now - looked - stepMs;
      const stalled = lateMs > stepMs;
      if (stalled) {
        const fields = { blockedMs: Math.round(lateMs), silentAfterMs };
        this.#context.logger.warn(fields, 'the event loop was blocked: the broker hears no heartbeats meanwhile');
      }
      looked = now;
      if (link.bytesRead !== bytes || stalled) {
        bytes = link.bytesRead;
        heard = now;
      } else if (now - heard >= silentAfterMs) {
        link.destroy();
        this.lost(link, new ConnectionError(`${link.host}: silent for ${Math.round(now - heard)} ms`));
      }
    }, stepMs);
  }

  #tellConnected({ host, generation }: Link): void {
    this.#context.onStatus({ state: 'connected', host, generation });
  }
}
