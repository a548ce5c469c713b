export type { Addressing } from './amqp1-addresses.ts';
export type { Amqp1OnRabbitMQ as OsloAmqp1OnRabbitMQ } from './amqp1-on-rabbitmq.ts';
export type { Amqp1Topology as OsloAmqp1Topology } from './amqp1-topology.ts';
export { parse as parsePythonJson, stringify as stringifyPythonJson } from './json.ts';
export type { NotificationFormat } from './notify-codec.ts';
export type { OsloTopology, OsloTopologyOptions } from './rabbit-topology.ts';
export { type OsloOptions, oslo } from './wire.ts';
