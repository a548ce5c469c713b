export { describeDriver } from './describe-driver.ts';
export type { Harness } from './harness.ts';
export { describeTransport } from './transport/describe-transport.ts';
export { Lab, type LabClientOptions, type ServeOptions } from './transport/lab.ts';
export { Heard, NotifyLab } from './transport/notify-lab.ts';
export type { TransportHarness } from './transport/transport-harness.ts';
