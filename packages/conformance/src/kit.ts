import {
  type Address,
  type Driver,
  type DriverContext,
  type Logger,
  MessagingError,
  type SendOptions,
  type Source,
  type Status,
} from '@posthorn/core';
import { Box, type BoxOptions } from './box.ts';
import type { Harness } from './harness.ts';
import { Log } from './log.ts';
import { text } from './messages.ts';

const CLOSE_MS = 5_000;

/** A driver with all it told its context. */
export interface Link {
  readonly driver: Driver;
  readonly statuses: Log<Status>;
  readonly returned: Log<{ readonly messageId: string | undefined; readonly to: Address }>;
  readonly lost: Log<Error>;
  readonly late: Log<'settled'>;
  readonly logs: Log<{ readonly level: keyof Logger; readonly message: string | undefined }>;
}

/** The tools of one case. What it opens is closed after the case. */
export class Kit {
  readonly harness: Harness;
  readonly #patienceMs: number | undefined;
  readonly #links: Link[] = [];
  readonly #deferred: (() => Promise<void>)[] = [];

  /** `patienceMs`: how long to wait for a delivery, where that is not the usual. */
  constructor(harness: Harness, patienceMs?: number) {
    this.harness = harness;
    this.#patienceMs = patienceMs;
  }

  async connect(): Promise<Link> {
    const statuses = new Log<Status>('statuses', ({ state }) => state);
    const returned: Link['returned'] = new Log('returned messages', ({ messageId }) => String(messageId));
    const lost = new Log<Error>('losses', ({ message }) => message);
    const late: Link['late'] = new Log('late settlements', String);
    const logs: Link['logs'] = new Log('log lines', ({ level, message }) => `${level}: ${message}`);
    const at = (level: keyof Logger) => (_: object, message?: string) => logs.add({ level, message });
    const context: DriverContext = {
      logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') },
      onStatus: (status) => statuses.add(status),
      onReturned: (messageId, to) => returned.add({ messageId, to }),
      onLost: (error) => lost.add(error),
      onLateSettle: () => late.add('settled'),
    };
    const link = { driver: await this.harness.connect(context), statuses, returned, lost, late, logs };
    this.#links.push(link);
    return link;
  }

  /** A driver, where what it tells does not matter. */
  async driver(): Promise<Driver> {
    return (await this.connect()).driver;
  }

  /** Subscribes, and collects. */
  open(driver: Driver, from: Source | readonly Source[], options?: BoxOptions): Promise<Box> {
    return Box.open(driver, isList(from) ? from : [from], options, this.#patienceMs);
  }

  /** Sends a text and waits until the broker has it: what is sent after it comes after it. */
  send(driver: Driver, to: Address, body: string, options: SendOptions = {}): Promise<void> {
    return driver.send(to, text(body), { confirm: true, ...options });
  }

  /** Sends the texts in this order, and waits until the broker has them all. */
  async sendAll(driver: Driver, to: Address, bodies: readonly string[], options?: SendOptions): Promise<void> {
    await Promise.all(bodies.map((body) => this.send(driver, to, body, options)));
  }

  /** Cuts the connection and resolves once the driver noticed. */
  async cut({ driver, statuses }: Link): Promise<void> {
    const from = statuses.items.length;
    await this.harness.breakConnection?.(driver);
    await statuses.find('disconnected', ({ state }) => state === 'disconnected', from);
  }

  /** Resolves once the driver is connected again after its last loss. */
  async restored({ statuses }: Link, withinMs?: number): Promise<void> {
    const isUp = (): boolean => statuses.items.at(-1)?.state === 'connected';
    await statuses.until('connected again', isUp, withinMs);
  }

  /** Makes the broker refuse to read until the returned function is called, or the case ends. */
  async block(): Promise<() => Promise<void>> {
    let unblocking: Promise<void> | undefined;
    const unblock = await this.harness.block?.();
    const once = (): Promise<void> => {
      unblocking ??= unblock?.() ?? Promise.resolve();
      return unblocking;
    };
    this.#deferred.push(once);
    return once;
  }

  async close(): Promise<void> {
    for (const task of this.#deferred.splice(0)) await task();
    const links = this.#links.splice(0);
    await Promise.all(links.map(({ driver }) => driver.close({ signal: AbortSignal.timeout(CLOSE_MS) })));
  }
}

/** How a promise ends: `resolved`, the code of the error, or the error itself where it is not one of ours. */
export async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return error instanceof MessagingError ? error.code : error;
  }
}

/** Resolves when a lifetime has passed on the clock, which is an event that nothing else tells. */
export function lifetime(ms: number): Promise<void> {
  const from = performance.now();
  return new Promise((resolve) => {
    const look = (): void => {
      const left = from + ms - performance.now();
      if (left <= 0) resolve();
      else setTimeout(look, Math.ceil(left));
    };
    look();
  });
}

function isList(from: Source | readonly Source[]): from is readonly Source[] {
  return Array.isArray(from);
}
