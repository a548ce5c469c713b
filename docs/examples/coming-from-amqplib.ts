const url = process.argv[2] ?? 'amqp://guest:guest@localhost';

// #region amqplib
import amqplib from 'amqplib';

const connection = await amqplib.connect(url);
const channel = await connection.createConfirmChannel();
await channel.assertQueue('thumbnails', { durable: true });
await channel.prefetch(16);
await channel.consume('thumbnails', (message) => {
  if (message === null) return; // the queue was deleted
  console.log('amqplib:', JSON.parse(message.content.toString()));
  channel.ack(message);
});
channel.sendToQueue('thumbnails', Buffer.from(JSON.stringify({ image: 'i-1' })), { persistent: true });
await channel.waitForConfirms();
// #endregion amqplib

const ours = url.replace(/^amqp:/, 'rabbit:');

// #region posthorn
import { connect, Publisher, Subscriber } from 'posthorn';

const transport = await connect(ours);
const thumbnails = new Subscriber(transport, { exchange: 'images', group: 'thumbnails.2', prefetch: 16 });
thumbnails.bind('image.created', (image) => console.log('posthorn:', image));
await thumbnails.start();

const images = new Publisher(transport, { exchange: 'images', publisherId: 'web1' });
const created = { messageType: 'image.created', version: '1.0', payload: { image: 'i-1' } };
const { status } = await images.publish(created); // confirmed, or the reason why not
// #endregion posthorn
console.log(status);
