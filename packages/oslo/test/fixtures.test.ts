import { readdirSync, readFileSync } from 'node:fs';
import type { Message } from '@posthorn/core';
import type { Failure, Reply, Request } from '@posthorn/rpc';
import { expect } from 'chai';
import { osloRPC } from '../src/rpc-codec.ts';
import { enveloped } from './support.ts';

interface Captured {
  readonly decoded: Readonly<Record<string, unknown>>;
  readonly properties: Readonly<Record<string, string | number>>;
}

const home = new URL('fixtures/', import.meta.url);
const files = readdirSync(home).filter((file) => /^\d/.test(file));
const { codec, correlate } = osloRPC(false);

/** The message as a driver would hand it over. */
function arrived({ decoded, properties }: Captured): Message {
  const { expiration } = properties;
  return { ...enveloped(decoded), headers: {}, ...(expiration !== undefined && { ttlMs: Number(expiration) }) };
}

const CONTEXT = { user: 'u1', request_id: 'req-1', tags: ['a', 'b'] };

for (const file of files) {
  const { messages } = JSON.parse(readFileSync(new URL(file, home), 'utf8')) as {
    messages: Readonly<Record<string, Captured>>;
  };

  describe(`the messages of oslo.messaging ${file.replace('.json', '')}`, () => {
    const captured = (kind: string): Captured => {
      const found = messages[kind];
      if (found === undefined) throw new Error(`no ${kind} in ${file}`);
      return found;
    };
    const requestIn = (kind: string): Request => {
      const incoming = codec.decodeRequest(arrived(captured(kind)));
      if (incoming.kind !== 'request') throw new Error('not a request');
      return incoming.request;
    };
    const replyIn = (kind: string): Reply => codec.decodeReply(arrived(captured(kind)));
    const failureIn = (kind: string): Failure => {
      const reply = replyIn(kind);
      if (reply.kind !== 'failure') throw new Error('not a failure');
      return reply.failure;
    };

    it('are understood as calls', () => {
      const { decoded } = captured('call');
      expect(requestIn('call')).to.deep.include({
        id: decoded['_msg_id'],
        deliveryId: decoded['_unique_id'],
        replyTo: decoded['_reply_q'],
        method: 'echo',
        namespace: 'lab.ns',
        version: '1.1',
        args: { text: 'héllo ✓', n: 5, f: 1.5, l: [1, null, true], d: { k: 'v' } },
        context: CONTEXT,
        timeoutMs: 5_000,
        monitorMs: undefined,
        problem: undefined,
      });
    });

    it('are understood as calls without namespace or context, and as monitored ones', () => {
      expect(requestIn('call-no-namespace')).to.deep.include({
        namespace: undefined,
        version: undefined,
        context: CONTEXT,
      });
      expect(requestIn('call-returning-null').context).to.deep.equal({});
      expect(requestIn('call-monitored')).to.include({ monitorMs: 4_000, timeoutMs: 12_000 });
    });

    it('are understood as casts and fanouts, which nobody waits for', () => {
      for (const kind of ['cast', 'fanout'])
        expect(requestIn(kind)).to.deep.include({
          method: 'note',
          args: { kind },
          replyTo: undefined,
          timeoutMs: undefined,
        });
    });

    it('are understood as replies, each to the call that it names', () => {
      expect(replyIn('reply-number')).to.deep.equal({ kind: 'result', value: 5 });
      expect(replyIn('reply-string')).to.deep.equal({ kind: 'result', value: 'pong' });
      expect(replyIn('reply-null')).to.deep.equal({ kind: 'result', value: null });
      expect(replyIn('heartbeat-monitored')).to.deep.equal({ kind: 'heartbeat' });
      expect(correlate(arrived(captured('reply')))).to.equal(requestIn('call').id);
      expect(correlate(arrived(captured('heartbeat-monitored')))).to.equal(requestIn('call-monitored').id);
    });

    it('are understood as failures', () => {
      expect(failureIn('reply-failure')).to.deep.equal({
        type: 'builtins.ValueError',
        message: 'no good',
        trace: ['Traceback (most recent call last):', 'ValueError: no good'],
        args: ['no good'],
        kwargs: {},
      });
      expect(failureIn('reply-failure-allowed').type).to.equal('lab_oslo.LabError');
      expect(failureIn('reply-failure-no-method').type).to.equal('NoSuchMethodError');
      expect(failureIn('reply-failure-version').type).to.equal('UnsupportedVersionError');
      expect(failureIn('reply-failure-namespace').type).to.equal('UnsupportedVersionError');
      expect(failureIn('reply-failure-args').type).to.equal('builtins.TypeError');
    });
  });
}
