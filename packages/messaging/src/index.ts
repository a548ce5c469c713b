export { canonicalJson } from './canonical.ts';
export { type CloudEventsOptions, cloudEvents } from './cloud-events.ts';
export type { Envelope, EnvelopeCodec, Place } from './envelope.ts';
export { Exchange, type ExchangeSendOptions } from './exchange.ts';
export type { BatchHandler, Handler } from './handlers.ts';
export { type IdStore, type MemoryIdStoreOptions, memoryIdStore } from './id-store.ts';
export { Mailbox, type MailboxOptions, type MailboxPublishOptions } from './mailbox.ts';
export {
  type Draft,
  type DraftOptions,
  MessageFactory,
  type MessageFactoryOptions,
  type PlainMessage,
} from './message-factory.ts';
export { defineMessage, type MessageClass, type MessageType, TypedMessage } from './message-type.ts';
export { nativeEnvelope } from './native-envelope.ts';
export type { BackPressure, OutboxOptions, PublishResult } from './outbox.ts';
export { Publisher, type PublisherOptions, type PublishOptions } from './publisher.ts';
export type { Publishable } from './publishing.ts';
export type { ReceivedMessage } from './received-message.ts';
export { Router } from './router.ts';
export {
  type Ed25519Options,
  ed25519,
  type HmacOptions,
  hmacSha256,
  type SignatureCheck,
  type SignatureVerifier,
  type Signer,
} from './signer.ts';
export { sign, signedBytes } from './signing.ts';
export { Subscriber } from './subscriber.ts';
export type { SubscriberOptions } from './subscriber-options.ts';
export { type Refusal, type RefusalReason, Verification, type VerificationOptions } from './verification.ts';
