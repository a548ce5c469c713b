import { describeDelivery } from './notify-delivery.ts';
import { describeFailures } from './notify-failures.ts';
import { describeIteration } from './notify-iteration.ts';
import { describeNotifyTestCase } from './notify-oslo-scenarios.ts';
import { describePools } from './notify-pools.ts';
import type { TransportHarness } from './transport-harness.ts';

/** What notifications promise on every transport. */
export function describeNotifications(transport: TransportHarness): void {
  describeNotifyTestCase(transport);
  describeDelivery(transport);
  describePools(transport);
  describeFailures(transport);
  describeIteration(transport);
}
