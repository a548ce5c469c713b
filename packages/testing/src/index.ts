export { playFaults, type Step } from './fault-script.ts';
export { type TestTransport, type TestTransportOptions, testTransport } from './test-transport.ts';
export { type Seen, Traffic } from './traffic.ts';
export { VirtualClock } from './virtual-clock.ts';
export type { Wanted } from './wanted.ts';
