export { onAbort, orAborted, within } from './abort.ts';
export { type Address, type AddressKind, describe, type Source } from './address.ts';
export { type BackOffSettings, backOffMs } from './back-off.ts';
export { Bag } from './bag.ts';
export { Batcher, type BatchOptions } from './batcher.ts';
export { bufferOf } from './bytes.ts';
export { Cancellation } from './cancellation.ts';
export { durationMs, fromQuery, parseConfig } from './config.ts';
export { BINARY, type ContentCodec, json } from './content.ts';
export { type DeadLetter, DeadLetters, type DeadLettersOptions } from './dead-letters.ts';
export type { Agreed, Comparison, Declaration, Inspection, PlanOptions } from './declaration.ts';
export { type Activity, idsOf, observed, observedJob, processing, sending } from './diagnostics.ts';
export type {
  Driver,
  DriverContext,
  Features,
  Retention,
  SendOptions,
  SubscribeOptions,
  Subscription,
  Unrouted,
} from './driver.ts';
export {
  AccessError,
  asError,
  ClosedError,
  ConfigError,
  ConnectionError,
  DeliveryError,
  type ErrorCode,
  type ErrorOptions,
  MalformedError,
  MessagingError,
  messageOf,
  OutcomeUnknownError,
  OverloadedError,
  TargetError,
  TimeoutError,
  TooLargeError,
  UnroutableError,
  UnsupportedError,
} from './errors.ts';
export { concurrent, type Executor, keyed, serial } from './executor.ts';
export type { Health } from './health.ts';
export { newId } from './id.ts';
export { ignorable } from './ignorable.ts';
export type { Expectation, Inbox } from './inbox.ts';
export { JobStream } from './job-stream.ts';
export { compose, type Invoke, type Layer } from './layers.ts';
export { Lifeline } from './lifeline.ts';
export { type Logger, silent } from './logger.ts';
export { matcher } from './match.ts';
export { MemoryBroker } from './memory/broker.ts';
export { type MemoryOptions, memory } from './memory/driver.ts';
export { MemoryFaults, type SendFault } from './memory/faults.ts';
export type {
  Consumer as MemoryConsumer,
  Entry as MemoryEntry,
  MemoryDelivery,
  MemoryQueue,
} from './memory/queue.ts';
export type { Delivery, HeaderValue, Message, Outcome } from './message.ts';
export { type DeliveryProfile, profiles, type SettleMoment } from './profiles.ts';
export { RecentIds } from './recent-ids.ts';
export { attemptsOf, type Home, originOf, Redelivery, type RetryPolicy } from './redelivery.ts';
export type { Context, Serializer } from './serializer.ts';
export {
  type CloseOptions,
  type CloseReport,
  type Job,
  type JobEnd,
  type Lane,
  Server,
  type ServerOptions,
} from './server.ts';
export type { Status } from './status.ts';
export {
  type Dialer,
  type LinkListener,
  type SupervisedLink,
  Supervisor,
  type SupervisorSettings,
} from './supervisor.ts';
export { Sweeper } from './sweeper.ts';
export { addressOf, checkTarget, type Target } from './target.ts';
export { isThenable } from './thenable.ts';
export { type TlsSettings, tlsOptions } from './tls.ts';
export { type Child, type OpenDriver, Transport, type TransportOptions } from './transport.ts';
export { type Host, hostText, parseTransportUrl, shuffled, type TransportUrl } from './url.ts';
export { checkVersion, compatible } from './version.ts';
export { type NativeOptions, native, type Wire, type WireCodecs } from './wire.ts';
