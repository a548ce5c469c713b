export { asyncApi } from './asyncapi.ts';
export { ContractClient, type ContractClientOptions, contractClient } from './client.ts';
export {
  type Contract,
  type ContractDefinition,
  type ContractMethods,
  defineContract,
  type EventDefinition,
  isContract,
  type MethodDefinition,
} from './contract.ts';
export { type ContractCheck, checkContracts } from './contract-check.ts';
export { DeclaredError, type DeclaredErrorClass, type ErrorDefinition } from './declared-error.ts';
export { contractHtml } from './html.ts';
export type { JsonSchema } from './json-schema.ts';
export { type ContractMessages, messagesOf } from './messages.ts';
export {
  type ContractListenerOptions,
  ContractNotifier,
  type ContractNotifierOptions,
  contractListener,
  contractNotifier,
  type EventHandlers,
  eventEndpoint,
} from './notifications.ts';
export type { Change } from './schema-changes.ts';
export { type ContractServerOptions, contractEndpoint, contractServer, type EndpointOptions } from './server.ts';
export { type ContractSnapshot, formatSnapshots, parseSnapshots, snapshotOf } from './snapshot.ts';
export { InvalidParamsError, type Validate } from './validation.ts';
