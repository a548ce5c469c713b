export { expected, expose } from './access.ts';
export type { Args, Endpoints, MethodName, Progress, Rest as CallArguments, Result, UntypedApi } from './api.ts';
export {
  type CallOptions,
  type ClientOverrides,
  RPCClient,
  type RPCClientOptions,
  type StreamOptions,
} from './client.ts';
export type {
  Control,
  ControlCodec,
  Failure,
  Incoming,
  Part,
  Producer,
  Reply,
  Request,
  RPCCodec,
} from './codec.ts';
export {
  type Access,
  type CallInfo,
  type Dispatched,
  Dispatcher,
  type Endpoint,
  type EndpointTarget,
  type TakeProgress,
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
export { type Gathered, type GatherOptions, TooFewRepliesError } from './gather.ts';
export { nativeCodec } from './native-codec.ts';
export type { GatherBounds, OutgoingCall, ProgressSink } from './outgoing.ts';
export { BaseEndpoint, PING_METHOD, type WaitOptions, waitUntilReady } from './ping.ts';
export type { CallStream } from './progress-reader.ts';
export type { IncomingCall } from './served-call.ts';
export { RPCServer, type RPCServerOptions } from './server.ts';
