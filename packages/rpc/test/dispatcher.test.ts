import { expect } from 'chai';
import { expected, expose } from '../src/access.ts';
import { type CallInfo, type Dispatched, Dispatcher, type Endpoint } from '../src/dispatcher.ts';
import { NoSuchMethodError } from '../src/errors.ts';
import { rejection, thrownBy } from './support.ts';

const info: CallInfo = {
  id: 'id',
  method: 'm',
  namespace: undefined,
  version: undefined,
  headers: {},
  signal: new AbortController().signal,
  deadline: undefined,
};

const call = (method: string, more: Partial<Dispatched> = {}): Dispatched => ({
  method,
  args: {},
  context: {},
  info,
  ...more,
});

const invoke = async (endpoints: readonly Endpoint[], method: string, more?: Partial<Dispatched>): Promise<unknown> =>
  await new Dispatcher(endpoints).invoke(call(method, more));

describe('the dispatcher', () => {
  it('gives the method its context, its arguments, what is known of the call, and its own endpoint', async () => {
    const context = { user: 'ada' };
    const args = { a: 1 };
    const endpoint = {
      all(this: unknown, ...given: readonly unknown[]) {
        return [this, ...given];
      },
    };
    expect(await invoke([endpoint], 'all', { context, args })).to.deep.equal([endpoint, context, args, info]);
  });

  it('takes a null version for one that nothing serves, and a missing one for 1.0', async () => {
    const endpoint = { m: () => 'served' };
    expect(await rejection(invoke([endpoint], 'm', { version: null }))).to.have.property('code', 'UNSUPPORTED_VERSION');
    expect(await invoke([endpoint], 'm', { version: undefined })).to.equal('served');
  });

  it('answers to legacy namespaces, null being the default one', async () => {
    const endpoint = { target: { namespace: 'new', legacyNamespaces: ['old', null] }, m: () => 'served' };
    for (const namespace of ['new', 'old', undefined])
      expect(await invoke([endpoint], 'm', { namespace })).to.equal('served');
    const other = rejection(invoke([endpoint], 'm', { namespace: 'other' }));
    expect(await other).to.have.property('code', 'UNSUPPORTED_VERSION');
  });

  it('prefers the method of the derived class, also where that is no function', async () => {
    class Base {
      m(): string {
        return 'base';
      }
      hidden(): string {
        return 'base';
      }
    }
    class Derived extends Base {
      override m(): string {
        return 'derived';
      }
    }
    const endpoint = Object.assign(new Derived(), { hidden: 'no function' });
    expect(await invoke([endpoint], 'm')).to.equal('derived');
    expect(await rejection(invoke([endpoint], 'hidden'))).to.have.property('code', 'NO_SUCH_METHOD');
  });

  it('offers what stood on the endpoint when it was made, and nothing added later', async () => {
    const endpoint: Record<string, () => string> = { first: () => 'first' };
    const dispatcher = new Dispatcher([endpoint]);
    endpoint['second'] = () => 'second';
    expect(await rejection((async () => dispatcher.invoke(call('second')))())).to.have.property(
      'code',
      'NO_SUCH_METHOD',
    );
  });

  it('calls no classes that stand on an endpoint', async () => {
    const endpoint = { Inner: class {} };
    expect(await rejection(invoke([endpoint], 'Inner'))).to.have.property('code', 'NO_SUCH_METHOD');
  });

  it('calls nothing of an endpoint without a prototype but its own methods', async () => {
    const endpoint = Object.assign(Object.create(null) as object, { m: () => 'served' });
    expect(await invoke([endpoint], 'm')).to.equal('served');
    expect(await rejection(invoke([endpoint], 'toString'))).to.have.property('code', 'NO_SUCH_METHOD');
  });

  it('offers with explicit access only what is exposed, in a class too', async () => {
    class Door {
      open(): string {
        return 'open';
      }
      shut(): string {
        return 'shut';
      }
    }
    expose(Door.prototype.open);
    const dispatcher = new Dispatcher([new Door()], 'explicit');
    expect(await dispatcher.invoke(call('open'))).to.equal('open');
    expect(await rejection((async () => dispatcher.invoke(call('shut')))())).to.have.property('code', 'NO_SUCH_METHOD');
  });

  it('knows which errors a method expects', () => {
    class NotFound extends Error {}
    const dispatcher = new Dispatcher([{ find: expected(NotFound)(() => undefined), other: () => undefined }]);
    expect(dispatcher.expects(call('find'), new NotFound())).to.equal(true);
    expect(dispatcher.expects(call('find'), new Error())).to.equal(false);
    expect(dispatcher.expects(call('other'), new NotFound())).to.equal(false);
    expect(dispatcher.expects(call('missing'), new NoSuchMethodError('missing'))).to.equal(false);
  });

  it('passes on what a method throws at once, as a rejection', async () => {
    const broken = new Error('broken');
    const endpoint = {
      m() {
        throw broken;
      },
    };
    expect(await rejection(invoke([endpoint], 'm'))).to.equal(broken);
  });

  for (const [what, endpoint] of [
    ['a target that is a method', { target: () => undefined }],
    ['a target that is text', { target: 'compute' }],
    ['a version that is none', { target: { version: 'new' } }],
    ['a namespace that is no text', { target: { namespace: 7 } }],
  ] as const)
    it(`refuses an endpoint with ${what}, by its place`, () => {
      const error = thrownBy(() => new Dispatcher([{}, endpoint]));
      expect(error).to.have.property('code', 'CONFIG');
      expect(error.message).to.match(/^endpoints\.1\.target/);
    });
});
