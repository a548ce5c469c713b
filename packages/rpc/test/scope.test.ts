import { type Context, memory, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { RPCClient } from '../src/client.ts';
import { enterScope, type Scope, scopeOf } from '../src/scope.ts';
import { RPCServer } from '../src/server.ts';
import { rejection } from './support.ts';

const scope = (deadline: number): Scope => ({ signal: new AbortController().signal, deadline });

describe('the scope of a call', () => {
  it('is seen by nobody but who asks for it', () => {
    const context = { user: 'ada' };
    const entered = scope(1);
    enterScope(context, entered);
    expect(scopeOf(context)).to.equal(entered);
    expect(Reflect.ownKeys(context)).to.deep.equal(['user']);
    expect(scopeOf({ ...context }), 'of a copy').to.equal(undefined);
  });

  it('is the newest, where a context serves several calls', () => {
    const context = {};
    const newest = scope(2);
    enterScope(context, scope(1));
    enterScope(context, newest);
    expect(scopeOf(context)).to.equal(newest);
  });

  it('is not forced upon a context that is frozen', () => {
    const context: Context = Object.freeze({});
    enterScope(context, scope(1));
    expect(scopeOf(context)).to.equal(undefined);
  });
});

describe('a context that cannot be restored', () => {
  it('is a failure that the caller is told', async () => {
    await using transport = await Transport.open((context) => memory(context));
    const deserializeContext = (): Context => {
      throw new RangeError('no such tenant');
    };
    const target = { topic: 't', server: 's' };
    await new RPCServer(transport, { target, endpoints: [{ m: () => 1 }], serializer: { deserializeContext } }).start();
    const call = new RPCClient(transport, { target: { topic: 't' } }).call({}, 'm', {}, { timeoutMs: 9_000 });
    expect(await rejection(call)).to.include({ code: 'REMOTE', type: 'RangeError', message: 'no such tenant' });
  });
});
