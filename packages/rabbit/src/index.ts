export { rabbit } from './driver.ts';
export { modernTopology } from './naming.ts';
export type { RabbitOptions, UserCredentials } from './options.ts';
export type { Binding, ExchangeDeclaration, Intake, QueueDeclaration, Route, Topology } from './topology.ts';
