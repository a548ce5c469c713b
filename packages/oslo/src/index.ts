export { parse as parsePythonJson, stringify as stringifyPythonJson } from './json.ts';
export type { NotificationFormat } from './notify-codec.ts';
export type { OsloTopology, OsloTopologyOptions } from './rabbit-topology.ts';
export { type OsloOptions, oslo } from './wire.ts';
