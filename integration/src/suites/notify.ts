import type { TransportUnderTest } from '../transports.ts';
import { describeDelivery } from './notify-delivery.ts';
import { describeFailures } from './notify-failures.ts';
import { describeIteration } from './notify-iteration.ts';
import { describeNotifyTestCase } from './notify-oslo-scenarios.ts';
import { describePools } from './notify-pools.ts';

/** What notifications promise on every transport. */
export function describeNotifications(transport: TransportUnderTest): void {
  describe(`notifications over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describeNotifyTestCase(transport);
    describeDelivery(transport);
    describePools(transport);
    describeFailures(transport);
    describeIteration(transport);
  });
}
