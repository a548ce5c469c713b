import { connect } from 'amqplib';
import { corker } from '../peers/corker.ts';
import { placeOf } from '../place.ts';
import type { TavridaCounter } from './counter.ts';
import { EXCHANGE, PREFETCH, RETENTION, type TavridaSetup } from './task.ts';

/** A in plain amqplib, as an expert would write it for the first test: prefetch, JSON, an acknowledgement after the work. */
export async function twin(
  { url, a, engine, lane }: TavridaSetup,
  counter: TavridaCounter,
): Promise<{ readonly broker: string; close(): Promise<void> }> {
  const { host, port, username, password, vhost } = placeOf(url);
  const socket = { noDelay: true, writableHighWaterMark: 262_144 };
  const model = await connect({ hostname: host, port, username, password, vhost: encodeURIComponent(vhost) }, socket);
  const channel = await model.createChannel();
  const cork = corker(model);
  // The name that Posthorn's queue has, so that what was sent before is there.
  const queue = lane === 'shared' ? a : `${EXCHANGE}%2F${a}`;
  await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-expires': RETENTION.expiresMs } });
  await channel.bindQueue(queue, EXCHANGE, `${a}.#`);
  await channel.prefetch(engine === 'serial' ? 1 : PREFETCH);
  await channel.consume(queue, (message) => {
    if (message === null) return;
    const { payload } = JSON.parse(message.content.toString()) as { readonly payload: { readonly at: number } };
    counter.request(payload.at);
    cork();
    channel.ack(message);
  });
  return { broker: `RabbitMQ ${String(model.connection.serverProperties.version)}`, close: () => model.close() };
}
