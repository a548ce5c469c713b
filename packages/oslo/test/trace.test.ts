import type { Context, Message } from '@posthorn/core';
import type { Notification } from '@posthorn/notify';
import { expect } from 'chai';
import { amqp1Notify } from '../src/amqp1-notify-codec.ts';
import { amqp1RPC } from '../src/amqp1-rpc-codec.ts';
import { osloNotify } from '../src/notify-codec.ts';
import { osloRPC } from '../src/rpc-codec.ts';
import { innerOf, requestOf } from './support.ts';

const OLD = { traceparent: '00-11111111111111111111111111111111-1111111111111111-01', tracestate: 'old=1' };
const NEW = { traceparent: '00-22222222222222222222222222222222-2222222222222222-01', tracestate: 'new=2' };
const USER = { user: 'u1' };

type Headers = NonNullable<Message['headers']>;

interface Told {
  readonly context: Context;
  readonly headers?: Headers | undefined;
}

/** What each message of the wire does with a trace: what Python reads in it, and what Node does. */
const wires = (strict: boolean) => {
  const rpc = osloRPC(strict).codec;
  const amqp1 = amqp1RPC(strict);
  const notify = osloNotify('v2', strict);
  const amqp1Events = amqp1Notify('v2', strict);
  const received = (incoming: ReturnType<typeof rpc.decodeRequest>): Told => {
    if (incoming.kind !== 'request') throw new Error(`a ${incoming.kind}`);
    return incoming.request;
  };
  return {
    request: {
      encode: (told: Told) => rpc.encodeRequest(requestOf(told)),
      decode: (message: Message) => received(rpc.decodeRequest(message)),
      python: contextInside,
    },
    notification: {
      encode: (told: Told) => notify.encode(notification(told)),
      decode: (message: Message): Told => notify.decode(message),
      python: contextInside,
    },
    'request over AMQP 1.0': {
      encode: (told: Told) => amqp1.encodeRequest(requestOf(told)),
      decode: (message: Message) => received(amqp1.decodeRequest(message)),
      python: contextBeside,
    },
    'notification over AMQP 1.0': {
      encode: (told: Told) => amqp1Events.encode(notification(told)),
      decode: (message: Message): Told => amqp1Events.decode(message),
      python: contextBeside,
    },
  };
};

describe('a trace on the oslo wire', () => {
  for (const [kind, { encode, decode, python }] of Object.entries(wires(false))) {
    describe(`in a ${kind}`, () => {
      it('is among the headers and in the context, where Python looks for it', () => {
        const message = encode({ context: USER, headers: NEW });
        expect(message.headers).to.deep.equal(NEW);
        expect(python(message)).to.deep.equal({ ...USER, ...NEW });
      });

      it('is that of the headers, where the context was passed on with that of an earlier message', () => {
        const { traceparent } = NEW;
        expect(python(encode({ context: { ...USER, ...OLD }, headers: NEW }))).to.deep.equal({ ...USER, ...NEW });
        expect(python(encode({ context: { ...USER, ...OLD }, headers: { traceparent } }))).to.deep.equal({
          ...USER,
          traceparent,
        });
      });

      it('arrives among the headers when Python told it by the context alone', () => {
        const { headers: _, ...fromPython } = encode({ context: { ...USER, ...OLD } });
        expect(decode(fromPython)).to.deep.include({ context: { ...USER, ...OLD }, headers: OLD });
      });

      it('arrives as the headers have it, whatever the context says', () => {
        const message = { ...encode({ context: { ...USER, ...OLD } }), headers: NEW };
        expect(decode(message).headers).to.deep.equal(NEW);
      });

      it('is not there when nobody traces', () => {
        const message = encode({ context: USER, headers: { n: 1 } });
        expect(python(message)).to.deep.equal(USER);
        expect(decode(message)).to.deep.include({ context: USER, headers: { n: 1 } });
      });
    });
  }

  for (const [kind, { encode, python }] of Object.entries(wires(true)))
    it(`is not told in a ${kind} that is strict`, () => {
      const message = encode({ context: USER, headers: NEW });
      expect(message.headers ?? {}).to.deep.equal({});
      expect(python(message)).to.deep.equal(USER);
    });
});

function notification({ context, headers }: Told): Notification {
  const about = { id: 'n-1', publisherId: 'p', eventType: 'e', priority: 'info', payload: {} } as const;
  return { ...about, timestamp: new Date(0), context, headers };
}

function contextInside(message: Message): object {
  const entries = Object.entries(innerOf(message)).filter(([key]) => key.startsWith('_context_'));
  return Object.fromEntries(entries.map(([key, value]) => [key.slice('_context_'.length), value]));
}

function contextBeside({ body }: Message): unknown {
  return JSON.parse(Buffer.from(body).toString()).context;
}
