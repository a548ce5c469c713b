import type { Context, Message } from '@posthorn/core';
import { expose, type OutgoingCall } from '@posthorn/rpc';
import { expect } from 'chai';
import { outcomeOf } from '../kit.ts';
import { deferred } from './deferred.ts';
import { Lab } from './lab.ts';
import { rejectionOf } from './rejection.ts';
import type { TransportHarness } from './transport-harness.ts';

interface Row {
  readonly namespace?: string;
  readonly version?: string;
  readonly method: string;
  readonly outcome: string;
}

/** Who answers, or the code of the refusal, with the four endpoints below. */
const matrix: readonly Row[] = [
  { method: 'who', outcome: 'plain 1.0' },
  { method: 'who', version: '1.0', outcome: 'plain 1.0' },
  { method: 'who', version: '1.1', outcome: 'UNSUPPORTED_VERSION' },
  { method: 'who', version: '2.0', outcome: 'UNSUPPORTED_VERSION' },
  { method: 'other', outcome: 'NO_SUCH_METHOD' },
  { method: 'other', version: '1.1', outcome: 'UNSUPPORTED_VERSION' },
  { namespace: 'ns', method: 'who', outcome: 'ns 1.3' },
  { namespace: 'ns', version: '1.3', method: 'who', outcome: 'ns 1.3' },
  { namespace: 'ns', version: '1.4', method: 'who', outcome: 'UNSUPPORTED_VERSION' },
  { namespace: 'ns', version: '2.0', method: 'who', outcome: 'ns 2.5' },
  { namespace: 'ns', version: '2.5', method: 'who', outcome: 'ns 2.5' },
  { namespace: 'ns', version: '2.5', method: 'onlyOne', outcome: 'NO_SUCH_METHOD' },
  { namespace: 'ns', version: '1.2', method: 'onlyOne', outcome: 'only in 1.3' },
  { namespace: 'older', version: '2.1', method: 'who', outcome: 'ns 2.5' },
  { namespace: 'nowhere', method: 'who', outcome: 'UNSUPPORTED_VERSION' },
];

const endpoints = [
  { who: () => 'plain 1.0' },
  { target: { namespace: 'ns', version: '1.3' }, who: () => 'ns 1.3', onlyOne: () => 'only in 1.3' },
  { target: { namespace: 'ns', version: '2.5', legacyNamespaces: ['older'] }, who: () => 'ns 2.5' },
  { target: { namespace: 'ns', version: '2.9' }, who: () => 'a later endpoint' },
];

class Machine {
  state = 'off';
  inherited(): string {
    return 'inherited';
  }
}

class Robot extends Machine {
  speak(): string {
    return this._voice();
  }
  _voice(): string {
    return 'beep';
  }
  get secret(): () => string {
    throw new Error('an accessor must not run');
  }
}

const json = { contentType: 'application/json', type: 'echo', messageId: 'bad-1' } as const;
const object = Buffer.from('{}');

/** Requests that make no sense, and what their sender is told. */
const malformed: readonly (readonly [string, Message, RegExp])[] = [
  ['a body that is not JSON', { ...json, body: Buffer.from('{"a":') }, /not application\/json/],
  ['arguments that are an array', { ...json, body: Buffer.from('[1]') }, /not an object/],
  ['arguments that are null', { ...json, body: Buffer.from('null') }, /not an object/],
  ['no method', { contentType: json.contentType, messageId: 'bad-1', body: object }, /without a type, which is its/],
  ['a context that is no JSON', { ...json, headers: { 'ph-context': '{' }, body: object }, /ph-context/],
  ['a context that is a list', { ...json, headers: { 'ph-context': '[]' }, body: object }, /ph-context/],
  ['an unknown content type', { ...json, body: object, contentType: 'text/x' }, /content type text\/x/],
  ['a negative monitor', { ...json, headers: { 'ph-monitor-ms': -1 }, body: object }, /ph-monitor-ms/],
];

/** Which method answers, and what is refused. */
export function describeDispatch(transport: TransportHarness): void {
  describe('dispatch', () => {
    it('N-15: namespace, version and method choose the endpoint, the first that fits', async () => {
      await using lab = new Lab(transport);
      await lab.serve(endpoints);
      const client = await lab.client();
      const outcomes = await Promise.all(
        matrix.map(async ({ outcome: _, method, ...overrides }) => {
          const answer = client.prepare(overrides).call({}, method);
          return { ...overrides, method, outcome: await answer.catch((error) => outcomeOf(Promise.reject(error))) };
        }),
      );
      expect(outcomes).to.deep.equal(matrix.map((row) => ({ ...row })));
    });

    it('N-15: a method of the class and of the class it extends can be called', async () => {
      await using lab = new Lab(transport);
      await lab.serve(new Robot());
      const client = await lab.client();
      expect(await client.call({}, 'speak')).to.equal('beep');
      expect(await client.call({}, 'inherited')).to.equal('inherited');
    });

    for (const name of [
      '_voice',
      'constructor',
      '__proto__',
      'toString',
      'hasOwnProperty',
      'secret',
      'state',
      'target',
    ])
      it(`N-15: ${name} is no method that can be called`, async () => {
        await using lab = new Lab(transport);
        await lab.serve(new Robot());
        expect(await outcomeOf((await lab.client()).call({}, name))).to.equal('NO_SUCH_METHOD');
        expect(await (await lab.client()).call({}, 'speak')).to.equal('beep');
      });

    it('N-15: with explicit access only what was exposed can be called', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ open: expose(() => 'open'), shut: () => 'shut' }, { access: 'explicit' });
      const client = await lab.client();
      expect(await client.call({}, 'open')).to.equal('open');
      expect(await outcomeOf(client.call({}, 'shut'))).to.equal('NO_SUCH_METHOD');
    });

    it('N-14: a cap lets older versions out and refuses newer ones before anything is sent', async () => {
      await using lab = new Lab(transport);
      const seen: object[] = [];
      await lab.serve({
        target: { version: '1.9' },
        build(_context: Context, args: object) {
          seen.push(args);
          return 'built';
        },
      });
      const rpcapi = await lab.client({ target: { topic: lab.topic, version: '1.0' }, versionCap: '1.8' });
      // What an application's own API class does: the newest version that may be sent, with the arguments it knows.
      const version = rpcapi.canSendVersion('1.9') ? '1.9' : '1.8';
      const args = version === '1.9' ? { image: 'debian', tags: ['new'] } : { image: 'debian' };
      expect(await rpcapi.prepare({ version }).call({}, 'build', args)).to.equal('built');
      expect(seen).to.deep.equal([{ image: 'debian' }]);
      expect(await outcomeOf(rpcapi.prepare({ version: '1.9' }).call({}, 'build', args))).to.equal('VERSION_CAP');
      expect(await outcomeOf(rpcapi.prepare({ version: '1.9' }).cast({}, 'build', args))).to.equal('VERSION_CAP');
      expect(await outcomeOf(rpcapi.prepare({ version: '2.0' }).call({}, 'build', args))).to.equal('VERSION_CAP');
      expect(seen).to.have.length(1);
    });

    it('O-05: a call to all servers at once is refused', async () => {
      await using lab = new Lab(transport);
      const client = (await lab.client()).prepare({ fanout: true });
      expect(await outcomeOf(client.call({}, 'echo'))).to.equal('INVALID_TARGET');
    });

    it('O-05: what prepare overrides holds for that client alone, and the rest is inherited', async () => {
      await using lab = new Lab(transport);
      const seen: OutgoingCall[] = [];
      const client = await lab.client({
        target: { topic: lab.topic, exchange: 'e', namespace: 'n', version: '1.0' },
        timeoutMs: 1_000,
        layers: [() => async (call) => void seen.push(call)],
      });
      const base = { exchange: 'e', topic: lab.topic, namespace: 'n', version: '1.0' };
      const overrides = [
        { exchange: 'x' },
        { topic: 't' },
        { namespace: 'other' },
        { version: '3.1' },
        { server: 's' },
        { fanout: true },
      ];
      for (const one of overrides) {
        await client.prepare(one).cast({}, 'echo');
        expect(seen.pop()?.target).to.include({ ...base, ...one });
        await client.cast({}, 'echo');
        const { target } = seen.pop() ?? {};
        expect(target).to.include(base);
        expect([target?.server, target?.fanout]).to.deep.equal([undefined, undefined]);
      }
      await client.prepare({ timeoutMs: 70 }).cast({}, 'echo');
      await client.cast({}, 'echo');
      expect(seen.map(({ timeoutMs }) => timeoutMs)).to.deep.equal([70, 1_000]);
      expect(client.prepare({ versionCap: '0.9' }).canSendVersion()).to.equal(false);
      expect(client.canSendVersion()).to.equal(true);
    });

    for (const [what, message, told] of malformed)
      it(`a request with ${what} is answered with a failure, and the server serves on`, async () => {
        await using lab = new Lab(transport);
        await lab.serve({ echo: (_context: Context, args: object) => args });
        const calling = await lab.calling();
        const answer = deferred<Message>();
        const replies = await calling.subscribe([{ kind: 'reply' }], (delivery) => {
          void delivery.settle('accept');
          answer.resolve(delivery.message);
        });
        const replyTo = replies.address.kind === 'reply' ? replies.address.name : '';
        await calling.send({ kind: 'anycast', exchange: 'posthorn', topic: lab.topic }, { ...message, replyTo });
        const { correlationId, headers, body } = await answer.promise;
        expect(correlationId).to.equal('bad-1');
        expect(headers).to.include({ 'ph-status': 'failure' });
        const failure = JSON.parse(Buffer.from(body).toString());
        expect(failure).to.have.property('type', 'MalformedError');
        expect(failure.message).to.match(told);
        expect(await (await lab.client()).call({}, 'echo', { still: 'here' })).to.deep.equal({ still: 'here' });
      });

    it('a bad request whose sender cannot be told is rejected with a warning, and the server serves on', async () => {
      await using lab = new Lab(transport);
      await lab.serve({ echo: (_context: Context, args: object) => args });
      const calling = await lab.calling();
      await calling.send(
        { kind: 'anycast', exchange: 'posthorn', topic: lab.topic },
        { ...json, body: Buffer.from('?') },
      );
      expect(await (await lab.client()).call({}, 'echo', { a: 1 })).to.deep.equal({ a: 1 });
      expect(lab.logged('warn').map(({ fields }) => fields['code'])).to.deep.equal(['MALFORMED']);
    });

    it('a refused method tells its name to the caller', async () => {
      await using lab = new Lab(transport);
      await lab.serve(endpoints);
      const client = await lab.client();
      const missing = await rejectionOf(client.call({}, 'fly'));
      expect(missing.message).to.equal('Endpoint does not support RPC method fly');
      const newer = await rejectionOf(client.prepare({ version: '9.0' }).call({}, 'who'));
      expect(newer.message).to.equal('Endpoint does not support RPC version 9.0. Attempted method: who');
    });
  });
}
