import { type Activity, idsOf, isThenable, type JobEnd, observed, processing, type Transport } from '@posthorn/core';
import type { ReceivedMessage } from './received-message.ts';

export type MessageBatch = readonly [first: ReceivedMessage, ...others: ReceivedMessage[]];

/** How a message ends with the function that handles it, or a batch with all of its messages. */
export async function endOf(
  transport: Transport,
  received: ReceivedMessage | MessageBatch,
  handle: () => unknown,
): Promise<JobEnd> {
  try {
    const handling = processing.hasSubscribers
      ? observed(processing, activityOf(transport, received), async () => handle())
      : handle();
    if (isThenable(handling)) await handling;
    return 'accept';
  } catch (error) {
    const { type, messageId, headers, attempts } = firstOf(received);
    transport.logger.error({ err: error, ...idsOf(messageId, headers), attempts }, `handling ${type} failed`);
    return { outcome: 'release', reason: error };
  }
}

export function activityOf(transport: Transport, received: ReceivedMessage | MessageBatch): Activity {
  const { type: name, messageId: id, exchange, key: topic, payload: content, headers } = firstOf(received);
  const about = { pattern: 'messaging', operation: 'subscribe', name, transport, topic, context: {} } as const;
  const common = { ...about, exchange: exchange === '' ? undefined : exchange };
  if (!isBatch(received)) return { ...common, id, content, headers: { ...headers } };
  const batch = received.map((one) => ({ id: one.messageId, headers: { ...one.headers } }));
  return { ...common, batch, content: received.map(({ payload }) => payload), headers: {} };
}

function firstOf(received: ReceivedMessage | MessageBatch): ReceivedMessage {
  return isBatch(received) ? received[0] : received;
}

function isBatch(received: ReceivedMessage | MessageBatch): received is MessageBatch {
  return Array.isArray(received);
}
