import { ConfigError, type Logger, messageOf, silent } from '@posthorn/core';
import { checkDirectory, discoveryOf, type Viewpoint } from './directory.ts';
import type { Discovery, LocalDiscovery } from './discovery.ts';
import { ServiceError } from './errors.ts';

export interface HttpDiscoveryOptions extends Viewpoint {
  /** Ask again when the last answer is older than this. Default 30,000. */
  readonly ttlMs?: number;
  /** Give up one question after this long. Default 5,000. */
  readonly timeoutMs?: number;
  readonly logger?: Logger;
}

/** The directory is for people to write: anything longer is a mistake. */
const LONGEST = 1024 * 1024;

/**
 * The services that a URL lists as JSON, `{ "test_hello": { "exchange": …, "notifications": … } }`. Fetched when first
 * needed and again when it is older than its time to live. While the source is down or wrong, the last good list is used.
 */
export class HttpDiscovery implements Discovery {
  readonly #url: string;
  readonly #viewpoint: Viewpoint;
  readonly #ttlMs: number;
  readonly #timeoutMs: number;
  readonly #logger: Logger;
  #last: LocalDiscovery | undefined;
  /** On the clock of `performance.now()`. */
  #askAgainAt = 0;
  #asking: Promise<LocalDiscovery> | undefined;

  constructor(url: string, options: HttpDiscoveryOptions = {}) {
    if (!URL.canParse(url)) throw new ConfigError('url', `"${url}" is no URL`);
    const { ttlMs = 30_000, timeoutMs = 5_000, logger = silent, ...viewpoint } = options;
    this.#url = url;
    this.#viewpoint = viewpoint;
    this.#ttlMs = ttlMs;
    this.#timeoutMs = timeoutMs;
    this.#logger = logger;
  }

  async remoteService(service: string): Promise<string> {
    return (await this.#current()).remoteService(service);
  }

  async remotePublisher(service: string): Promise<string> {
    return (await this.#current()).remotePublisher(service);
  }

  async localPublisher(service: string): Promise<string> {
    return (await this.#current()).localPublisher(service);
  }

  async #current(): Promise<LocalDiscovery> {
    if (this.#last !== undefined && performance.now() < this.#askAgainAt) return this.#last;
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return await this.#asking;
  }

  async #ask(): Promise<LocalDiscovery> {
    try {
      this.#last = discoveryOf(await this.#fetch(), this.#viewpoint);
      return this.#last;
    } catch (error) {
      if (this.#last === undefined) throw this.#failure(error);
      this.#logger.warn({ err: error, url: this.#url }, 'the discovery does not answer: its last list is used');
      return this.#last;
    } finally {
      this.#askAgainAt = performance.now() + this.#ttlMs;
    }
  }

  async #fetch(): Promise<ReturnType<typeof checkDirectory>> {
    const response = await fetch(this.#url, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`answered ${response.status}`);
    if (text.length > LONGEST) throw new Error(`answered more than ${LONGEST} characters`);
    return checkDirectory(JSON.parse(text), this.#url);
  }

  #failure(error: unknown): Error {
    if (error instanceof ServiceError || error instanceof ConfigError) return error;
    return new ServiceError('UnableToDiscover', `${this.#url}: ${messageOf(error)}`, { cause: error });
  }
}
