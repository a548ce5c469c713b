/** A process that makes one call with plain amqplib, and prints what took how long. */
import { once } from 'node:events';
import { ARGS, CONTENT_TYPE, METHOD, TIMEOUT_MS } from '../work.ts';
import { StopWatch } from './start-up.ts';

const [url = '', topic = ''] = process.argv.slice(2);
const watch = new StopWatch();
const { connect } = await import('amqplib');
watch.imported();
const model = await connect(url.replace(/^rabbit:/i, 'amqp:'), { noDelay: true });
watch.connected();
const channel = await model.createChannel();
const { queue: replyTo } = await channel.assertQueue('', { exclusive: true });
await channel.consume(replyTo, (reply) => channel.emit('reply', JSON.parse(reply?.content.toString() ?? 'null')), {
  noAck: true,
});
const replied = once(channel, 'reply');
channel.publish('', topic, Buffer.from(JSON.stringify(ARGS)), {
  type: METHOD,
  contentType: CONTENT_TYPE,
  correlationId: '1',
  replyTo,
  expiration: String(TIMEOUT_MS),
  deliveryMode: 1,
  mandatory: true,
});
await replied;
console.log(JSON.stringify(watch.answered()));
await model.close();
