import {
  type ContractMethods,
  connect,
  contractClient,
  contractListener,
  contractNotifier,
  contractServer,
  messagesOf,
  Publisher,
  Subscriber,
} from 'posthorn';
import { Images } from './contract-images.ts';

const transport = await connect(process.argv[2] ?? 'memory://');

// #region server
const notifier = contractNotifier(transport, Images, { publisherId: 'images.host1' });

const methods: ContractMethods<typeof Images> = {
  async *resize(context, { id, width, format }) {
    if (id !== 'cat') throw new Images.errors.NotFound({ id });
    yield { percent: 50 };
    const image = { id: `${id}-${width}`, width, format };
    await notifier.notify(context, 'image.resized', { ...image, took: 12 });
    return image;
  },
  forget(_context, { id }) {
    console.log(`forgetting ${id}`);
  },
};

const server = contractServer(transport, Images, { server: 'host1', methods, validate: 'all' });
await server.start();
// #endregion server

// #region listener
const listener = contractListener(transport, Images, {
  on: {
    'image.resized': ({ id, took }, { publisherId }) => console.log(`${publisherId} made ${id} in ${took} ms`),
  },
});
await listener.start();
// #endregion listener

// #region client
const images = contractClient(transport, Images);

const resizing = images.stream({}, 'resize', { id: 'cat', width: 64 });
for await (const { percent } of resizing) console.log(`${percent} %`);
const { id, format } = await resizing.result;
console.log(`${id} is a ${format}`);

try {
  await images.call({}, 'resize', { id: 'dog', width: 64 });
} catch (error) {
  if (!(error instanceof Images.errors.NotFound)) throw error;
  console.log(`there is no ${error.data.id}`);
}
// #endregion client

// #region messages
const { 'image.resized': Resized } = messagesOf(Images);

const subscriber = new Subscriber(transport, { exchange: 'images' });
const seen = new Promise<string>((resolve) => {
  subscriber.on(Resized, (image) => resolve(image.id));
});
await subscriber.start();

const publisher = new Publisher(transport, { exchange: 'images', publisherId: 'images.host1' });
await publisher.publish(Resized, { id: 'cat-32', width: 32, format: 'png', took: 7 });
console.log(`${await seen} was published`);
// #endregion messages

await transport.close();
