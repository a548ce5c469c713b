import { memory, newId, Transport } from '@posthorn/core';
import { NoSuchMethodError, RemoteError, RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { oslo } from '../src/index.ts';

class ValueError extends Error {}

/** What a wire needs no broker for. */
describe('the oslo wire over memory', () => {
  let transport: Transport;
  let client: RPCClient;
  const topic = 'compute';
  const notes: unknown[] = [];

  before(async () => {
    transport = await Transport.open((context) => memory(context), { wire: oslo() });
    const endpoint = {
      echo: (context: object, args: object) => ({ context, args }),
      numbers: () => [Number.NaN, 2n ** 60n],
      nothing: () => undefined,
      bytes: () => new Uint8Array(2),
      boom: () => {
        throw new ValueError('no good');
      },
      note: (_: object, args: object) => void notes.push(args),
    };
    const errors = { 'builtins.ValueError': ValueError };
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint], errors }).start();
    client = new RPCClient(transport, { target: { topic }, timeoutMs: 9_000 });
  });

  after(() => transport.close());

  const failure = (promise: Promise<unknown>): Promise<unknown> =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('carries arguments, context and results', async () => {
    const [context, args] = [{ user: 'u1' }, { text: 'é', big: 2n ** 70n, nan: Number.NaN }];
    expect(await client.call(context, 'echo', args)).to.deep.equal({ context, args });
    expect(await client.call({}, 'numbers', {})).to.deep.equal([Number.NaN, 2n ** 60n]);
    expect(await client.call({}, 'nothing', {})).to.equal(null);
  });

  it('carries errors under their names', async () => {
    expect(await failure(client.call({}, 'nope', {}))).to.be.instanceOf(NoSuchMethodError);
    const error = await failure(client.call({}, 'boom', {}));
    expect(error).to.be.instanceOf(RemoteError).and.to.include({ type: 'builtins.ValueError', message: 'no good' });
  });

  it('refuses bytes on both sides', async () => {
    expect(await failure(client.call({}, 'echo', new Uint8Array(1)))).to.include({ code: 'MALFORMED' });
    expect(await failure(client.call({}, 'bytes', {}))).to.be.instanceOf(RemoteError);
  });

  it('casts', async () => {
    const mark = newId();
    await client.cast({}, 'note', { mark });
    // Casts before a call to the same server are read before it.
    await client.call({}, 'nothing', {});
    expect(notes).to.deep.include({ mark });
  });

  it('uses the exchange openstack, or the one it is given', () => {
    expect(oslo().exchange).to.equal('openstack');
    expect(oslo({ exchange: 'nova' }).exchange).to.equal('nova');
  });
});
