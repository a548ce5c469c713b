import {
  type Context,
  concurrent,
  type Endpoints,
  expected,
  expose,
  type Layer,
  MessagingError,
  type OutgoingCall,
  RPCClient,
  RPCServer,
  type Serializer,
  serial,
  waitUntilReady,
} from 'posthorn';
import { transport } from './place.ts';

// #region interface
interface ImageApi {
  find(args: { name: string }): { id: string };
  remove(args: { id: string }): void;
  status(): { free: number };
  fetch(args: { id: string }): AsyncGenerator<{ percent: number }, { digest: string }>;
}
// #endregion interface

// #region errors
class NotFound extends Error {}

const errors = { NotFound };
// #endregion errors

// #region endpoint
class Images implements Endpoints<ImageApi> {
  readonly target = { namespace: 'images', version: '1.2' };
  readonly #free: number;

  constructor(free: number) {
    this.#free = free;
  }

  find(_context: Context, { name }: { name: string }) {
    if (name !== 'debian') throw new NotFound(`no image "${name}"`);
    return { id: 'img-1' };
  }

  remove(_context: Context, { id }: { id: string }) {
    console.log(`${id} removed`);
  }

  status() {
    return { free: this.#free };
  }

  async *fetch(_context: Context, _args: { id: string }) {
    yield { percent: 50 };
    yield { percent: 100 };
    return { digest: 'sha256:e3b0' };
  }
}
// #endregion endpoint

// #region server
const server = await new RPCServer(transport, {
  target: { topic: 'image', server: 'host1' },
  endpoints: [new Images(40)],
  executor: concurrent(64), // or serial(), or an object of your own with a submit(job)
  errors,
}).start();
// #endregion server

const host2 = { topic: 'image', server: 'host2' };
await new RPCServer(transport, { target: host2, endpoints: [new Images(60)], executor: serial(), errors }).start();

// #region client
const images = new RPCClient<ImageApi>(transport, {
  target: { topic: 'image', namespace: 'images', version: '1.1' },
  errors,
  timeoutMs: 5_000,
});
await waitUntilReady(images);
// #endregion client

// #region call
const { id } = await images.call({ user: 'alice' }, 'find', { name: 'debian' });
await images.prepare({ server: 'host1' }).cast({ user: 'alice' }, 'remove', { id });
await images.fanout({}, 'remove', { id: 'img-2' });
// #endregion call

// #region failures
try {
  await images.call({}, 'find', { name: 'minix' });
} catch (error) {
  if (error instanceof NotFound) console.log('not found:', error.message);
  else if (error instanceof MessagingError && error.retryable) console.log('nothing happened, try again');
  else throw error;
}
// #endregion failures

// #region gather
const replies = await images.gather({}, 'status', {}, { min: 1, max: 2, timeoutMs: 5_000 });
for (const { server: name, value, error } of replies.toSorted((a, b) => a.server.localeCompare(b.server)))
  console.log(error ? `${name}: ${error.message}` : `${name}: ${value.free} GB free`);
// #endregion gather

// #region stream
const fetching = images.stream({}, 'fetch', { id });
for await (const { percent } of fetching) console.log(`${percent} %`);
const { digest } = await fetching.result;
// #endregion stream
console.log(digest);

// #region cancel
const impatience = AbortSignal.timeout(10_000);
await images.call({}, 'find', { name: 'debian' }, { signal: impatience, timeoutMs: 30_000 });
// #endregion cancel

// #region versions
const capped = images.prepare({ version: '1.4', versionCap: '1.2' });
if (!capped.canSendVersion('1.4')) console.log('the servers are not upgraded yet');
// #endregion versions

// #region serializer
const dates: Serializer = {
  serializeEntity: (_context, entity) => (entity instanceof Date ? { $date: entity.toISOString() } : entity),
  deserializeEntity: (_context, entity) =>
    typeof entity === 'object' && entity !== null && '$date' in entity ? new Date(String(entity.$date)) : entity,
};
// #endregion serializer

// #region access
class Vault {
  readonly #keys = new Map([['k1', 'secret']]);

  @expose
  @expected(NotFound) // reaches the caller, and is no error in the log
  read(_context: Context, { key }: { key: string }) {
    const value = this.#keys.get(key);
    if (value === undefined) throw new NotFound(key);
    return value;
  }

  rotate() {} // not callable from outside
}

const vault = { topic: 'vault', server: 'host1' };
await new RPCServer(transport, { target: vault, endpoints: [new Vault()], access: 'explicit', errors }).start();
// #endregion access

// #region layers
const timed: Layer<OutgoingCall> = (next) => async (call) => {
  const began = performance.now();
  try {
    return await next(call);
  } finally {
    console.log(`${call.method} took ${performance.now() - began < 5_000 ? 'no time' : 'long'}`);
  }
};
const client = new RPCClient(transport, { target: vault, errors, serializer: dates, layers: [timed] });
// #endregion layers
console.log(await client.call({}, 'read', { key: 'k1' }));
await client.call({}, 'rotate').catch((error) => console.log(error.code));
await client.call({}, 'read', { key: 'k2' }).catch((error) => console.log(error instanceof NotFound));

// #region close
const { abandoned } = await server.close({ timeoutMs: 10_000 });
if (abandoned.length > 0) console.log('still running:', abandoned);
// #endregion close
