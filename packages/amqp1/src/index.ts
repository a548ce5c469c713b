export { type Broker, type BrokerOptions, serveBroker } from './broker/serve-broker.ts';
export { amqp1 } from './driver.ts';
export type { Amqp1Options, UserCredentials, WebSocketConstructor } from './options.ts';
export type { Amqp1Topology, Profile } from './profile.ts';
