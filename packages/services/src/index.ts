export { type ServiceClientOptions, serviceClient } from './client.ts';
export { configuredServer, readServicesConfig, type ServicesConfig } from './config-file.ts';
export type {
  Controller,
  ControllerFactory,
  HandlerOptions,
  HandlerResult,
  IncomingMiddleware,
  OutgoingMiddleware,
  ServiceClass,
  ServiceObject,
  ServiceOptions,
} from './controller.ts';
export { rpcErrorMethod, rpcMethod, rpcResponseMethod, rpcService, subscriptionMethod } from './decorators.ts';
export type { Directory, Viewpoint } from './directory.ts';
export { type Discovery, LocalDiscovery } from './discovery.ts';
export { EntryPoint } from './entry-point.ts';
export { type ErrorPayload, NackableError, SERVICE_ERRORS, ServiceError, type ServiceErrorName } from './errors.ts';
export { fileDiscovery } from './file-discovery.ts';
export { HttpDiscovery, type HttpDiscoveryOptions } from './http-discovery.ts';
export type { Lanes } from './layout.ts';
export {
  Answer,
  type Params,
  type ServiceFailure,
  type ServiceHeaders,
  type ServiceMessage,
  type ServiceNotification,
  type ServiceRequest,
  type ServiceResponse,
} from './messages.ts';
export type {
  PendingRequest,
  RemoteService,
  ServiceProxy,
  ServicePublishOptions,
  ServiceRequestOptions,
  UntypedRemotes,
} from './proxy.ts';
export { ServiceRegistry } from './registry.ts';
export { ServiceServer, type ServiceServerOptions } from './server.ts';
