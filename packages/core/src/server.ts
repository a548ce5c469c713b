import { within } from './abort.ts';
import { describe, type Source } from './address.ts';
import { Bag, type Bagged } from './bag.ts';
import { Cancellation } from './cancellation.ts';
import { idsOf } from './diagnostics.ts';
import type { SubscribeOptions, Subscription } from './driver.ts';
import { ClosedError, MessagingError, messageOf, TooLargeError } from './errors.ts';
import type { Executor } from './executor.ts';
import type { Delivery, Outcome } from './message.ts';
import type { SettleMoment } from './profiles.ts';
import { RecentIds } from './recent-ids.ts';
import type { Redelivery } from './redelivery.ts';
import type { Transport } from './transport.ts';

/** A delivery as its pattern understood it: work to be run by the executor. */
export interface Job {
  /** The message's id, by which a second delivery of the same message is recognised. */
  readonly id: string | undefined;
  /** What logs and reports call it. */
  readonly name: string;
  /** Jobs of one key are run in order by an executor that cares for keys. */
  readonly key?: string | undefined;
  /** Asked when the job's turn has come: a reason not to run it any more (expired, cancelled), or undefined. */
  obsolete?(): string | undefined;
  /** Does the work, replies included. Must not reject. Its end counts where settlement comes `after`. */
  run(cancellation: Cancellation): Promise<JobEnd>;
}

/**
 * How work ended. A bare outcome settles the delivery with it. With a reason the work failed: it is to be tried again
 * (`release`), or hopeless (`reject`), as the lane's redelivery has it.
 */
export type JobEnd = Outcome | { readonly outcome: 'release' | 'reject'; readonly reason: unknown };

export interface Lane {
  /** They feed one queue. */
  readonly sources: readonly Source[];
  readonly options?: SubscribeOptions;
  /** Retries and dead letters, for lanes whose work is settled `after`. */
  readonly redelivery?: Redelivery;
}

export interface ServerOptions {
  readonly name: string;
  readonly lanes: readonly Lane[];
  readonly executor: Executor;
  readonly settle: SettleMoment;
  /** Unsettled deliveries at most, in each lane. */
  readonly prefetch: number;
  /**
   * Understands a delivery. Returns undefined when it settled the delivery itself. A throw rejects the delivery.
   */
  open(delivery: Delivery): Job | undefined;
  /** Told when it begins to close: what the pattern holds back of running jobs is to end. */
  onClosing?(): void;
}

export interface CloseOptions {
  /** How long closing may take, running work included. Without it: as long as the work needs. */
  readonly timeoutMs?: number;
  /** Stops waiting for running work. */
  readonly signal?: AbortSignal;
}

export interface CloseReport {
  /** The names of jobs that were still running when the time was up. Their signals were aborted. */
  readonly abandoned: readonly string[];
}

interface Held extends Bagged {
  readonly job: Job;
  readonly redelivery: Redelivery | undefined;
  /** Ids that were started, as far as a second delivery of this message may reach. */
  readonly started: RecentIds;
  /** The newest one of the message. */
  delivery: Delivery;
  readonly cancellation: Cancellation;
  /** The work has ended, and is being settled. */
  ended: boolean;
}

/** What leaving politely may take once the time is up. */
const FAREWELL_MS = 100;

/**
 * Owns the main loop of whatever receives: subscriptions, prefetch, settlement, duplicates, drain. What a message means
 * is its pattern's affair (`open`), when a job runs is the executor's. The transport closes it with itself.
 *
 * inert → `start()` → serving ⇄ paused → `close()` → draining → closed
 */
export class Server {
  readonly #transport: Transport;
  readonly #options: ServerOptions;
  readonly #started = new RecentIds();
  readonly #waiting = new Bag<Held>();
  readonly #running = new Bag<Held>();
  #subscriptions: readonly Subscription[] = [];
  #starting: Promise<void> | undefined;
  #closing: Promise<CloseReport> | undefined;
  #idle: (() => void) | undefined;
  #release: () => void = () => {};

  constructor(transport: Transport, options: ServerOptions) {
    this.#transport = transport;
    this.#options = options;
  }

  start(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new ClosedError(this.#options.name));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /** Takes nothing further for now; what is queued waits at the broker. */
  async pause(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.pause()));
  }

  async resume(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.resume()));
  }

  /** Aborts the signal of the job with that id. False when it does not run. */
  cancel(id: string, reason: unknown): boolean {
    const held = this.#running.find(({ job }) => job.id === id);
    held?.cancellation.cancel(reason);
    return held !== undefined;
  }

  /** Stops intake, gives back what has not started, waits for what has, leaves. */
  close(options: CloseOptions = {}): Promise<CloseReport> {
    this.#closing ??= this.#leave(options);
    return this.#closing;
  }

  async #leave(options: CloseOptions): Promise<CloseReport> {
    const closing = this.#close(options);
    this.#options.onClosing?.();
    const report = await closing;
    this.#release();
    return report;
  }

  async #start(): Promise<void> {
    this.#release = this.#transport.adopt(this);
    const { lanes, prefetch } = this.#options;
    const results = await Promise.allSettled(
      lanes.map(({ sources, options, redelivery }) =>
        this.#transport.subscribe(sources, (delivery) => this.#receive(delivery, redelivery), { prefetch, ...options }),
      ),
    );
    this.#subscriptions = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      // Not `close`, which waits for the start to end.
      const shut = this.#shut();
      this.#closing ??= shut;
      await shut;
      this.#release();
      throw failed.reason;
    }
    for (const subscription of this.#subscriptions) void subscription.ended.then((error) => this.#lost(error));
  }

  #lost(error: Error | undefined): void {
    if (error !== undefined)
      this.#transport.logger.error({ err: error, server: this.#options.name }, 'subscription lost');
  }

  #receive(delivery: Delivery, redelivery: Redelivery | undefined): void {
    if (this.#closing !== undefined) return void delivery.settle('release');
    const job = this.#open(delivery, redelivery);
    if (job === undefined) return;
    if (delivery.redelivered && this.#takeOver(job, delivery, redelivery)) return;
    const started = this.#startedIds(delivery);
    const held = { job, redelivery, started, delivery, cancellation: new Cancellation(), ended: false, slot: 0 };
    this.#waiting.add(held);
    this.#submit(held);
  }

  /**
   * A connection was lost under work that is settled after its end, and the broker delivers its message again; or its message
   * came twice. The work goes on, and its end settles the new delivery: the old one, if it still can, is done with.
   */
  #takeOver({ id }: Job, delivery: Delivery, redelivery: Redelivery | undefined): boolean {
    if (id === undefined || this.#options.settle === 'first') return false;
    const isSame = (held: Held): boolean => held.job.id === id && held.redelivery === redelivery && !held.ended;
    const held = this.#running.find(isSame) ?? this.#waiting.find(isSame);
    if (held === undefined) return false;
    void held.delivery.settle('accept');
    held.delivery = delivery;
    return true;
  }

  /**
   * What goes to one consumer of many, and is not delivered again once it has started, is known to the whole connection; what
   * each gets a copy of, and work whose end counts, to each server alone.
   */
  #startedIds({ to }: Delivery): RecentIds {
    const isShared = to.kind === 'anycast' || to.kind === 'unicast' || to.kind === 'mailbox';
    return isShared && this.#options.settle === 'first' ? this.#transport.startedIds : this.#started;
  }

  /** Not async itself: each layer of promises is felt in every message. */
  #submit(held: Held): void {
    const refused = (error: unknown): void => {
      this.#waiting.delete(held);
      void held.delivery.settle('release');
      this.#transport.logger.error({ err: error, job: held.job.name }, 'the executor refused a job');
    };
    try {
      Promise.resolve(this.#options.executor.submit(() => this.#run(held), held.job.key)).catch(refused);
    } catch (error) {
      refused(error);
    }
  }

  #open(delivery: Delivery, redelivery: Redelivery | undefined): Job | undefined {
    const { logger, maxMessageBytes } = this.#transport;
    try {
      const bytes = delivery.message.body.length;
      if (bytes > maxMessageBytes) throw new TooLargeError('a message that arrived', bytes, maxMessageBytes);
      return this.#options.open(delivery);
    } catch (error) {
      if (redelivery !== undefined) {
        // What cannot be understood now will not be later: no retry.
        void redelivery.bury(delivery, error);
        return undefined;
      }
      void delivery.settle('reject');
      const code = error instanceof MessagingError ? error.code : 'MALFORMED';
      logger.warn(
        {
          err: error,
          code,
          from: describe(delivery.to),
          ...idsOf(delivery.message.messageId, delivery.message.headers),
        },
        `rejected: ${messageOf(error)}`,
      );
      return undefined;
    }
  }

  #skip(delivery: Delivery, job: Job, why: string): void {
    void delivery.settle('accept');
    this.#transport.logger.info({ ...aboutOf({ job, delivery }), why }, 'skipped');
  }

  async #run(held: Held): Promise<void> {
    if (!this.#waiting.delete(held)) return;
    const { job, started, delivery, cancellation } = held;
    const obsolete = job.obsolete?.();
    if (obsolete !== undefined) return this.#skip(delivery, job, obsolete);
    if (job.id !== undefined && !started.add(job.id)) {
      if (!this.#takeOver(job, delivery, held.redelivery)) this.#skip(delivery, job, 'delivered before');
      return;
    }
    this.#running.add(held);
    try {
      if (this.#options.settle === 'first') {
        if (await delivery.settle('accept')) await job.run(cancellation);
        // The broker delivers it again, which is no duplicate: nobody went on to run it.
        else if (job.id !== undefined) started.delete(job.id);
      } else {
        const end = await job.run(cancellation);
        held.ended = true;
        if (end === 'accept') void held.delivery.settle(end);
        else await this.#failed(held, end);
      }
    } catch (error) {
      this.#transport.logger.error({ err: error, ...aboutOf(held) }, 'a job failed outside its handler');
      if (job.id !== undefined && this.#options.settle === 'after') started.delete(job.id);
      void held.delivery.settle('reject');
    } finally {
      this.#running.delete(held);
      if (this.#running.size === 0) this.#idle?.();
    }
  }

  /** What failed may come again. */
  async #failed({ job, started, delivery, redelivery }: Held, end: Exclude<JobEnd, 'accept'>): Promise<void> {
    if (job.id !== undefined) started.delete(job.id);
    if (typeof end === 'string' || redelivery === undefined)
      void delivery.settle(typeof end === 'string' ? end : end.outcome);
    else if (end.outcome === 'release') await redelivery.retry(delivery, end.reason);
    else await redelivery.bury(delivery, end.reason);
  }

  async #close({ timeoutMs, signal }: CloseOptions): Promise<CloseReport> {
    const deadline = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
    let isStarted = false;
    const started = async (): Promise<void> => {
      await this.#starting?.catch(() => undefined);
      isStarted = true;
    };
    const starting = started();
    await within(starting, timeoutMs, signal);
    // A subscription that comes later than we wait ends as soon as it is there.
    if (!isStarted) void starting.then(() => this.#shut(undefined, signal));
    return await this.#shut(deadline, signal);
  }

  async #shut(deadline?: number, signal?: AbortSignal): Promise<CloseReport> {
    const left = (leastMs = 0): number | undefined =>
      deadline === undefined ? undefined : Math.max(leastMs, deadline - performance.now());
    // A peer that does not answer is waited for no longer than work that does not end.
    await within(Promise.all(this.#subscriptions.map((subscription) => subscription.stop())), left(), signal);
    for (const held of this.#waiting.items()) {
      this.#waiting.delete(held);
      void held.delivery.settle('release');
    }
    await within(this.#drained(), left(), signal);
    const running = this.#running.items();
    const abandoned = running.map(({ job }) => job.name);
    for (const held of running) held.cancellation.cancel(new ClosedError(this.#options.name));
    if (abandoned.length > 0)
      this.#transport.logger.warn({ server: this.#options.name, abandoned }, 'closed with work running');
    const closing = Promise.all(this.#subscriptions.map((subscription) => subscription.close()));
    await within(closing, left(FAREWELL_MS), signal);
    return { abandoned };
  }

  /** Resolves when nothing runs any more. */
  async #drained(): Promise<void> {
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** For logs. */
function aboutOf({ job, delivery }: Pick<Held, 'job' | 'delivery'>): object {
  const { messageId, headers } = delivery.message;
  return { job: job.name, ...idsOf(job.id ?? messageId, headers) };
}
