import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';
import { printCounts } from './counts.mjs';

/**
 * Mocha's spec reporter that ends with every skip and failure by name and one line of counts; or, for who runs several of it,
 * writes them to the file that `POSTHORN_COUNTED` names.
 *
 * A suite tells why it skips by `this.skipReason = '…'`, or by an entry `{ what, why }` in
 * `globalThis[Symbol.for('posthorn.skips')]`. An entry is the reason of the tests whose title begins with `what`, or of
 * the test or suite that skips right after adding it. Any other entry counts as one skip of its own.
 */
export default class Reporter extends Mocha.reporters.Spec {
  #skipped = [];
  #failed = [];
  #reasons = new Map();
  #explained = new Set();
  #seen = 0;

  constructor(runner, options) {
    super(runner, options);
    runner.on('hook end', (hook) => this.#remember(hook.parent));
    runner.on('fail', (test, error) => this.#failed.push({ what: test.fullTitle(), why: error.message }));
    runner.on('pending', (test) => {
      this.#remember(test);
      this.#skipped.push({ what: test.fullTitle(), why: this.#reason(test) ?? test.ctx?.skipReason });
    });
  }

  // Called after the global teardown, so that nothing is printed below the counts.
  done(failures, finish) {
    for (const entry of entries()) {
      const tests = this.#skipped.filter((test) => test.what.startsWith(entry.what));
      for (const test of tests) test.why ??= entry.why;
      if (tests.length === 0 && !this.#explained.has(entry)) this.#skipped.push(entry);
    }
    const counts = { passed: this.stats.passes, failed: this.#failed, skipped: this.#skipped };
    if (process.env.POSTHORN_COUNTED) writeFileSync(process.env.POSTHORN_COUNTED, JSON.stringify(counts));
    else printCounts(counts);
    finish(failures);
  }

  /** Entries that are new belong to the test or suite that just ended. */
  #remember(owner) {
    const all = entries();
    if (all.length > this.#seen) this.#reasons.set(owner, all.slice(this.#seen));
    this.#seen = all.length;
  }

  #reason(test) {
    for (let owner = test; owner; owner = owner.parent) {
      const found = this.#reasons.get(owner);
      if (!found) continue;
      for (const entry of found) this.#explained.add(entry);
      return found.map(({ what, why }) => (test.fullTitle().startsWith(what) ? why : `${what}: ${why}`)).join('; ');
    }
  }
}

function entries() {
  return globalThis[Symbol.for('posthorn.skips')] ?? [];
}
