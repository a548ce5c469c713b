export type { BatchOptions } from '@posthorn/core';
export {
  type BatchEndpoint,
  HANDLED,
  NotificationDispatcher,
  type NotificationEndpoint,
  REQUEUE,
  type Verdict,
} from './dispatcher.ts';
export type { NotificationFilter, Pattern } from './filter.ts';
export { type HttpNotificationOptions, httpNotifications } from './http-middleware.ts';
export {
  type BatchListenerOptions,
  type ListenTarget,
  NotificationListener,
  type NotificationListenerOptions,
} from './listener.ts';
export { nativeNotifyCodec } from './native-codec.ts';
export type { Notification, NotifyCodec } from './notification.ts';
export { Notifier, type NotifierOptions, type NotifyOptions } from './notifier.ts';
export { log, messaging, noop, type Outlet, type OutletContext, recording } from './outlets.ts';
export { PRIORITIES, type Priority, parsePriority } from './priorities.ts';
export { allowedContext, masked, SAFE_CONTEXT_KEYS } from './redact.ts';
export { type RoutingRule, type RoutingRules, routing } from './routing.ts';
