import type { JobEnd } from '@posthorn/core';
import type { Notification } from './notification.ts';

interface Waiting {
  readonly notification: Notification;
  readonly resolve: (end: JobEnd) => void;
}

/** Notifications for a `for await` loop. What it holds is bounded by the listener's prefetch: each entry is a job that runs. */
export class NotificationStream {
  #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #wake: (() => void) | undefined;
  #ended = false;

  /** Resolves when the loop is done with it. */
  add(notification: Notification): Promise<JobEnd> {
    if (this.#ended) return Promise.resolve('release');
    return new Promise((resolve) => {
      this.#waiting.push({ notification, resolve });
      this.#wake?.();
    });
  }

  /** Ends the loop; what it did not get is given back. */
  end(): void {
    this.#ended = true;
    for (const { resolve } of this.#waiting) resolve('release');
    this.#waiting = [];
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Notification> {
    let done = false;
    try {
      for (;;) {
        const next = this.#waiting.shift();
        if (next !== undefined) {
          this.#current = next;
          done = false;
          yield next.notification;
          done = true;
          next.resolve('accept');
          this.#current = undefined;
        } else if (this.#ended) return;
        else
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
      }
    } finally {
      if (!done) this.#current?.resolve({ outcome: 'release', reason: 'its loop was left' });
      this.#current = undefined;
    }
  }
}
