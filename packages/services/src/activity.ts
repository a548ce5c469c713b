import type { Activity, Address, Transport } from '@posthorn/core';
import type { ServiceMessage } from './messages.ts';

/** A message as the channels of diagnostics tell of it: sent to an address, or received there. */
export function activityOf(
  message: ServiceMessage,
  direction: 'sent' | 'received',
  at: Address,
  transport: Transport,
): Activity {
  const { type, source, destination, messageId: id, context, payload: content, headers } = message;
  const topic = String(type === 'notification' ? source : destination);
  // Answers are about the method that answers.
  const name = String(type === 'request' ? destination : source);
  const operation = direction === 'sent' ? sent(message) : RECEIVED[type];
  const about = { pattern: 'services', operation, name, transport, topic } as const;
  const exchange = at.kind === 'topic' ? at.exchange : undefined;
  return { ...about, exchange, id, context, content, headers: { ...headers } };
}

const RECEIVED = { request: 'serve', response: 'listen', error: 'listen', notification: 'subscribe' } as const;

function sent({ type, replyTo }: ServiceMessage): string {
  if (type === 'request') return replyTo === undefined ? 'cast' : 'call';
  return type === 'notification' ? 'publish' : 'answer';
}
