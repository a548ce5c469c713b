import type { JobEnd } from '@posthorn/core';
import type { Notification } from './notification.ts';

interface Waiting {
  readonly notification: Notification;
  readonly resolve: (end: JobEnd) => void;
}

/**
 * Notifications for `for await` loops; several loops share them. What it holds is bounded by the listener's prefetch:
 * each entry is a job that runs.
 */
export class NotificationStream {
  #waiting: Waiting[] = [];
  #idle: (() => void)[] = [];
  #ended = false;

  /** Resolves when the loop is done with it. */
  add(notification: Notification): Promise<JobEnd> {
    if (this.#ended) return Promise.resolve('release');
    return new Promise((resolve) => {
      this.#waiting.push({ notification, resolve });
      this.#wake();
    });
  }

  /** Ends the loops; what they did not get is given back. */
  end(): void {
    this.#ended = true;
    for (const { resolve } of this.#waiting) resolve('release');
    this.#waiting = [];
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Notification> {
    let current: Waiting | undefined;
    try {
      for (;;) {
        current = this.#waiting.shift();
        if (current !== undefined) {
          yield current.notification;
          current.resolve('accept');
          current = undefined;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => this.#idle.push(resolve));
      }
    } finally {
      current?.resolve({ outcome: 'release', reason: 'its loop was left' });
    }
  }

  #wake(): void {
    for (const go of this.#idle.splice(0)) go();
  }
}
