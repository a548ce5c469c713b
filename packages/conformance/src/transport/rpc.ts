import { describeDeadlines } from './rpc-deadlines.ts';
import { describeDispatch } from './rpc-dispatch.ts';
import { describeGather } from './rpc-gather.ts';
import { describeLifecycle } from './rpc-lifecycle.ts';
import { describeOsloScenarios } from './rpc-oslo-scenarios.ts';
import { describeServices } from './rpc-services.ts';
import { describeStreams } from './rpc-streams.ts';
import { describeValues } from './rpc-values.ts';
import type { TransportHarness } from './transport-harness.ts';

/** What RPC promises on every transport. */
export function describeRPC(transport: TransportHarness): void {
  describeOsloScenarios(transport);
  describeServices(transport);
  describeDispatch(transport);
  describeValues(transport);
  describeDeadlines(transport);
  describeLifecycle(transport);
  describeGather(transport);
  describeStreams(transport);
}
