export { describeDriver } from './describe-driver.ts';
export type { Harness } from './harness.ts';
