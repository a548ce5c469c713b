import { deflateSync, gzipSync } from 'node:zlib';
import { MessagingError, newId, silent, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { envelope, type Inner, RawOslo } from '../src/oslo-raw.ts';
import { rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';

class Endpoint {
  readonly counts = new Map<unknown, number>();

  count(_: object, { mark }: { mark?: unknown }): number {
    const count = (this.counts.get(mark) ?? 0) + 1;
    this.counts.set(mark, count);
    return count;
  }

  echo(ctxt: object, args: object, { headers }: { headers: object }): object {
    return { ctxt, args, headers };
  }
}

for (const candidate of rabbitVersions()) {
  const title = `oslo.messaging's messages written by hand on ${candidate.name}`;

  describe(title, function () {
    this.timeout(30_000);
    let place: OsloPlace;
    let transport: Transport;
    let raw: RawOslo;
    const endpoint = new Endpoint();

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      const { url, exchange, topic } = place;
      transport = await connect(`${url}?wire=oslo`, { logger: silent });
      raw = await RawOslo.open(url);
      const target = { exchange, topic, server: 'node' };
      await new RPCServer(transport, { target, endpoints: [endpoint] }).start();
    });

    after(async () => {
      await raw?.[Symbol.asyncDispose]();
      await transport?.close();
      await place?.vhost[Symbol.asyncDispose]();
    });

    const requestOf = (more: Inner = {}): Inner & { readonly _msg_id: string } => ({
      method: 'echo',
      args: {},
      _msg_id: newId(),
      _reply_q: raw.replyQueue,
      _timeout: null,
      _unique_id: newId(),
      ...more,
    });
    const ask = (request: Inner & { readonly _msg_id: string }): Promise<Inner> => {
      raw.send(place.exchange, place.topic, request);
      return raw.reply(request._msg_id);
    };
    const failureOf = ({ failure }: Inner): Inner => JSON.parse(String(failure));

    describe('to a Node server', () => {
      it('run a request once that is published twice', async () => {
        const mark = newId();
        const request = { method: 'count', args: { mark }, _unique_id: newId() };
        raw.send(place.exchange, place.topic, request);
        raw.send(place.exchange, place.topic, request);
        expect((await ask(requestOf({ method: 'count', args: { mark } })))['result']).to.equal(2);
      });

      it('run a call once that is published twice, and answer it once', async () => {
        const request = requestOf({ method: 'count', args: { mark: newId() } });
        await ask(request);
        await ask(request);
        await ask(requestOf());
        expect(raw.replies.filter(({ _msg_id }) => _msg_id === request._msg_id)).to.have.length(1);
      });

      it('are run twice when they are two requests', async () => {
        const args = { mark: newId() };
        await ask(requestOf({ method: 'count', args }));
        expect((await ask(requestOf({ method: 'count', args })))['result']).to.equal(2);
      });

      it('are understood without an envelope', async () => {
        const request = requestOf({ args: { x: 1 } });
        raw.sendBody(place.exchange, place.topic, Buffer.from(JSON.stringify(request)));
        expect(await raw.reply(request._msg_id)).to.have.nested.property('result.args.x', 1);
      });

      it('are understood when compressed with zlib', async () => {
        const request = requestOf({ args: { x: 'y'.repeat(5_000) } });
        const headers = { compression: 'application/x-gzip' };
        raw.sendBody(place.exchange, place.topic, deflateSync(envelope(request)), { headers });
        expect((await raw.reply(request._msg_id))['result']).to.deep.include({ args: request['args'], headers: {} });
      });

      it('may have keys that nobody knows', async () => {
        const request = requestOf({ _context_user: 'u1', extra: true, _extra: {} });
        expect((await ask(request))['result']).to.deep.include({ ctxt: { user: 'u1' }, args: {} });
      });

      it('may leave out the arguments', async () => {
        const { args: _, ...request } = requestOf();
        expect((await ask({ ...request, _msg_id: request._msg_id }))['result']).to.deep.include({ args: {} });
      });

      it('match nothing with a version that is null', async () => {
        const failure = failureOf(await ask(requestOf({ version: null })));
        expect(failure).to.include({ class: 'UnsupportedVersion', module: 'oslo_messaging.rpc.dispatcher' });
      });

      it('get a failure for a method that is none and for arguments that are not an object', async () => {
        for (const wrong of [
          { method: null },
          { method: 7 },
          { method: '' },
          { args: [1] },
          { args: 'a' },
          { args: null },
        ])
          expect(failureOf(await ask(requestOf(wrong))), JSON.stringify(wrong)).to.include({ class: 'MalformedError' });
      });

      it('do not stop the server when they cannot be read', async () => {
        const { exchange, topic } = place;
        const wrong: readonly (readonly [Buffer, object?])[] = [
          [Buffer.from('{')],
          [Buffer.from('')],
          [Buffer.from('[]')],
          [Buffer.from([0xff, 0xfe, 0x00])],
          [envelope(requestOf(), '2.1')],
          [envelope(requestOf(), '1.9')],
          [Buffer.from(JSON.stringify({ 'oslo.version': '2.0', 'oslo.message': { method: 'echo' } }))],
          [gzipSync(envelope(requestOf())), { compression: 'application/x-gzip' }],
          [envelope(requestOf()), { compression: 'application/x-bz2' }],
        ];
        const before = raw.replies.length;
        for (const [body, headers = {}] of wrong) raw.sendBody(exchange, topic, body, { headers });
        await ask(requestOf());
        expect(raw.replies.length).to.equal(before + 1);
      });
    });

    it('run once in Python, too, when they are published twice', async () => {
      const { url, exchange } = place;
      const topic = newId();
      await using python = await OsloServer.start({ url, exchange, topic, server: 'python' });
      const twice = { method: 'note', args: { mark: 'twice' }, _unique_id: newId() };
      raw.send(exchange, topic, twice);
      raw.send(exchange, topic, twice);
      raw.send(exchange, topic, { method: 'note', args: { mark: 'last' }, _unique_id: newId() });
      await python.note(/last/);
      await python.close(); // its threads keep no order: the first may be on its way still
      expect(python.notes.filter(({ kw }) => kw['mark'] === 'twice')).to.have.length(1);
    });

    describe('to a Node client', () => {
      const call = async (replies: (request: Inner) => readonly Inner[], timeoutMs = 5_000): Promise<unknown> => {
        const { url, exchange } = place;
        const topic = newId();
        await using peer = await RawOslo.open(url);
        await peer.serve(exchange, topic, (request) => {
          for (const reply of replies(request)) {
            const { _msg_id } = request;
            peer.send('', String(request['_reply_q']), { _msg_id, _unique_id: newId(), failure: null, ...reply });
          }
        });
        return await new RPCClient(transport, { target: { exchange, topic }, timeoutMs }).call({}, 'any', {});
      };

      it('are one reply with its end', async () => {
        expect(await call(() => [{ result: { a: 1 }, ending: true }])).to.deep.equal({ a: 1 });
      });

      it('may be two: the result, and the end without one', async () => {
        for (const result of [{ a: 1 }, 0, false, '', []]) {
          const two = call(() => [
            { result, ending: false },
            { result: null, ending: true },
          ]);
          expect(await two).to.deep.equal(result);
        }
      });

      it('may be a failure before an end without one', async () => {
        const failure = JSON.stringify({ class: 'KeyError', module: 'exceptions', message: 'old', tb: null });
        const error = await rejection(
          call(() => [
            { result: null, failure, ending: false },
            { result: null, ending: true },
          ]),
        );
        expect(error).to.include({ code: 'REMOTE', type: 'builtins.KeyError', message: 'old' });
      });

      it('may be preceded by signs of life', async () => {
        const beat = { result: null, ending: false };
        expect(await call(() => [beat, beat, { result: 7, ending: true }])).to.equal(7);
      });

      it('may be null', async () => {
        expect(await call(() => [{ result: null, ending: true }])).to.equal(null);
      });

      it('are taken only by the call whose id they name', async () => {
        const other = { _msg_id: newId(), result: 'not yours', ending: true };
        expect(await call(() => [other, { result: 'yours', ending: true }])).to.equal('yours');
      });

      it('count once when they come twice', async () => {
        const reply = { result: 1, ending: true, _unique_id: newId() };
        expect(await call(() => [reply, reply])).to.equal(1);
        expect(await call(() => [{ result: 2, ending: true }])).to.equal(2);
      });

      it('that cannot be read answer nobody, and harm nobody', async () => {
        const { url, exchange } = place;
        const topic = newId();
        await using peer = await RawOslo.open(url);
        await peer.serve(exchange, topic, ({ _reply_q, _msg_id, method }) => {
          if (method === 'well') peer.send('', String(_reply_q), { _msg_id, result: 1, failure: null, ending: true });
          else peer.sendBody('', String(_reply_q), Buffer.from('{'));
        });
        const client = new RPCClient(transport, { target: { exchange, topic }, timeoutMs: 400 });
        const error = await rejection(client.call({}, 'badly', {}));
        expect(error).to.be.instanceOf(MessagingError).with.property('code', 'TIMEOUT');
        expect(await client.call({}, 'well', {}, { timeoutMs: 5_000 })).to.equal(1);
      });

      it('that are failures without a form are failures still', async () => {
        const error = await rejection(call(() => [{ result: null, failure: 'not JSON', ending: true }]));
        expect(error).to.be.instanceOf(MessagingError).with.property('code', 'REMOTE');
      });
    });
  });
}
