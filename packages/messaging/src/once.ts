import type { JobEnd, Logger } from '@posthorn/core';
import type { IdStore } from './id-store.ts';

/** Keeps messages from being handled twice, as far as the store remembers them. */
export class Once {
  readonly #store: IdStore;
  readonly #group: string;
  readonly #logger: Logger;

  constructor(store: IdStore, group: string, logger: Logger) {
    this.#store = store;
    this.#group = group;
    this.#logger = logger;
  }

  /** Does the work, unless it was done for this id before: then it is done with. Rejects where the store cannot tell. */
  async run(id: string, work: () => Promise<JobEnd>): Promise<JobEnd> {
    if (await this.#store.has(this.#group, id)) {
      this.#logger.info({ messageId: id, group: this.#group }, 'skipped: handled before');
      return 'accept';
    }
    const end = await work();
    if (end === 'accept') await remembering(this.#logger, id, () => this.#store.add(this.#group, id));
    return end;
  }
}

/** The work is done: that it cannot be remembered is no reason to do it again. */
export async function remembering(logger: Logger, id: string, add: () => void | Promise<void>): Promise<void> {
  try {
    await add();
  } catch (error) {
    logger.error({ err: error, messageId: id }, 'could not remember a handled message: it may be handled again');
  }
}
