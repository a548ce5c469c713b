import { anycast } from './chapters/anycast.ts';
import { flow } from './chapters/flow.ts';
import { group } from './chapters/group.ts';
import { lifecycle } from './chapters/lifecycle.ts';
import { mailbox } from './chapters/mailbox.ts';
import { multicast } from './chapters/multicast.ts';
import { prefetch } from './chapters/prefetch.ts';
import { profiles } from './chapters/profiles.ts';
import { recovery } from './chapters/recovery.ts';
import { reply } from './chapters/reply.ts';
import { send } from './chapters/send.ts';
import { settle } from './chapters/settle.ts';
import { tools } from './chapters/tools.ts';
import { topic } from './chapters/topic.ts';
import { ttl } from './chapters/ttl.ts';
import { unicast } from './chapters/unicast.ts';
import { unrouted } from './chapters/unrouted.ts';
import { untilEmpty } from './chapters/until-empty.ts';
import type { Harness } from './harness.ts';
import { CASE_MS, Suite } from './suite.ts';

const chapters: Readonly<Record<string, (suite: Suite) => void>> = {
  send,
  anycast,
  unicast,
  multicast,
  topic,
  group,
  mailbox,
  reply,
  settle,
  prefetch,
  unrouted,
  'subscriptions until empty': untilEmpty,
  ttl,
  lifecycle,
  recovery,
  flow,
  profiles,
  tools,
};

/**
 * Defines the suite that proves a driver, for mocha with chai.
 *
 * ```ts
 * describeDriver('the memory driver', { connect: (context) => memory(context, { name: 'conformance' }) });
 * ```
 *
 * The driver's `features` decide which cases there are: what it declares must work, and what it does not declare must
 * be refused with `UNSUPPORTED`.
 */
export function describeDriver(name: string, harness: Harness): void {
  describe(name, () => {
    const suite = new Suite(harness);
    before(() => suite.select());
    afterEach(async function () {
      // It may have to end a block, as a case begins one.
      this.timeout(CASE_MS);
      await suite.closeKit();
    });
    for (const [title, define] of Object.entries(chapters)) describe(title, () => define(suite));
  });
}
