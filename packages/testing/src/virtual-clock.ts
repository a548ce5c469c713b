import { syncBuiltinESMExports } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { install } from '@sinonjs/fake-timers';

/** Turns of the event loop in which messages of a memory transport go from hand to hand, before time goes on. */
const TURNS = 25;
const FAKED = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] as const;

/**
 * All time of this process, until it is disposed: it stands still, and goes on when a test says so. Messages take none,
 * so that a memory transport works under it as it does without.
 *
 * ```ts
 * using clock = new VirtualClock();
 * const calling = client.call({}, 'slow', {}, { timeoutMs: 30_000 });
 * await clock.advance(30_000);
 * ```
 *
 * Not faked are `AbortSignal.timeout` and what other threads and sockets do.
 */
export class VirtualClock implements Disposable {
  readonly #clock: ReturnType<typeof install>;

  /** Starts at this moment: a `Date` or milliseconds since 1970. Default: now. */
  constructor(startsAt: Date | number = Date.now()) {
    this.#clock = install({ now: startsAt, toFake: [...FAKED] });
    // `import { setTimeout } from 'node:timers/promises'` sees a replaced function only after this.
    syncBuiltinESMExports();
  }

  /** Lets so many milliseconds pass, timer after timer, each with all that follows from it. */
  async advance(ms: number): Promise<void> {
    let arrived = false;
    this.#clock.setTimeout(() => {
      arrived = true;
    }, ms);
    await settled();
    while (!arrived) {
      await this.#clock.nextAsync();
      await settled();
    }
  }

  [Symbol.dispose](): void {
    this.#clock.uninstall();
    syncBuiltinESMExports();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await nextTurn();
}
