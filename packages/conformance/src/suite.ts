import { type AddressKind, type Features, messageOf, silent } from '@posthorn/core';
import type { Ability, Harness } from './harness.ts';
import { Kit } from './kit.ts';

/** What a case takes for granted. */
export interface Needs {
  /** The kinds of address it uses. */
  readonly kinds?: readonly AddressKind[];
  /** Whether the case is about a driver with these features; others have its inverse. */
  readonly when?: (features: Features) => boolean;
  readonly harness?: readonly Ability[];
  /** For cases that wait for a broker. */
  readonly timeoutMs?: number;
}

export type Define = (title: string, run: (kit: Kit) => Promise<void>) => void;

export const CASE_MS = 30_000;
/** What a known gap is given to arrive, for what does come comes at once: a long list of gaps shall not take minutes. */
const GAP_PATIENCE_MS = 500;

/** The cases of one driver. */
export class Suite {
  readonly #harness: Harness;
  readonly #cases = new Map<Mocha.Test, Needs>();
  #kit: Kit | undefined;

  constructor(harness: Harness) {
    this.#harness = harness;
  }

  /** How to define cases that need the same. */
  cases(needs: Needs): Define {
    return (title, run) => {
      const suite = this;
      const test = it(title, async function () {
        this.timeout(needs.timeoutMs ?? CASE_MS);
        await suite.#run(this, title, needs, run);
      });
      this.#cases.set(test, needs);
    };
  }

  /**
   * Looks at the driver's features, and keeps the cases about a driver like this. A case about a feature that it does
   * not have is no case of it: the inverse is.
   */
  async select(): Promise<void> {
    const nothing = (): void => {};
    const context = { logger: silent, onStatus: nothing, onReturned: nothing, onLost: nothing };
    const driver = await this.#harness.connect(context);
    const { features } = driver;
    await driver.close();
    const { never = [] } = this.#harness;
    for (const [test, { kinds = [], when = () => true, harness = [] }] of this.#cases) {
      const isPossible = !harness.some((ability) => never.includes(ability));
      if (isPossible && kinds.every((kind) => features.kinds.includes(kind)) && when(features)) continue;
      this.#cases.delete(test);
      remove(test);
    }
    const titles = new Set([...this.#cases.keys()].map(({ title }) => title));
    const unknown = this.#harness.knownGaps?.find((title) => !titles.has(title));
    if (unknown !== undefined) throw new Error(`the known gap "${unknown}" is not a case of this driver`);
  }

  async closeKit(): Promise<void> {
    const kit = this.#kit;
    this.#kit = undefined;
    await kit?.close();
  }

  async #run(context: Mocha.Context, title: string, needs: Needs, run: (kit: Kit) => Promise<void>): Promise<void> {
    const missing = needs.harness?.find((ability) => this.#harness[ability] === undefined);
    if (missing !== undefined) skip(context, `the harness has no ${missing}()`);
    const isGap = this.#harness.knownGaps?.includes(title) === true;
    const kit = new Kit(this.#harness, isGap ? GAP_PATIENCE_MS : undefined);
    this.#kit = kit;
    if (!isGap) return await run(kit);
    const failure = await run(kit).then(() => undefined, messageOf);
    if (failure === undefined) throw new Error('this known gap is closed: take it off the list');
    skip(context, `known gap: ${failure}`);
  }
}

/** Takes a test out of the run. */
export function remove(test: Mocha.Test): void {
  if (test.parent !== undefined) test.parent.tests = test.parent.tests.filter((other) => other !== test);
}

/** Skips the running case, and leaves the reason where reporters can find it. */
export function skip(context: Mocha.Context, why: string): never {
  context['skipReason'] = why;
  return context.skip();
}
