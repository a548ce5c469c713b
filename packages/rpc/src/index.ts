export { expected, expose } from './access.ts';
export type { Args, Endpoints, MethodName, Result, UntypedApi } from './api.ts';
export {
  type CallOptions,
  type ClientOverrides,
  type OutgoingCall,
  RPCClient,
  type RPCClientOptions,
} from './client.ts';
export type { Failure, Incoming, Reply, Request, RPCCodec } from './codec.ts';
export {
  type Access,
  type CallInfo,
  type Dispatched,
  Dispatcher,
  type Endpoint,
  type EndpointTarget,
} from './dispatcher.ts';
export {
  type ErrorClass,
  type ErrorRegistry,
  errorOf,
  failureOf,
  NoSuchMethodError,
  RemoteError,
  UnsupportedVersionError,
  VersionCapError,
} from './errors.ts';
export { nativeCodec } from './native-codec.ts';
export { BaseEndpoint, PING_METHOD, type WaitOptions, waitUntilReady } from './ping.ts';
export { type IncomingCall, RPCServer, type RPCServerOptions } from './server.ts';
