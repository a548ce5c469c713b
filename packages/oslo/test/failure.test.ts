import {
  errorOf,
  type Failure,
  failureOf,
  NoSuchMethodError,
  RemoteError,
  UnsupportedVersionError,
} from '@posthorn/rpc';
import { expect } from 'chai';
import { decodeFailure, encodeFailure } from '../src/failure.ts';

const failure = (more: Partial<Failure> = {}): Failure => ({ type: 'Oops', message: 'no good', trace: [], ...more });
const encoded = (more: Partial<Failure>): Record<string, unknown> => JSON.parse(encodeFailure(failure(more)));
const decoded = (more: object): Failure =>
  decodeFailure(
    JSON.stringify({ class: 'Oops', module: 'm', message: 'no good', tb: [], args: [], kwargs: {}, ...more }),
  );

describe('a failure for Python', () => {
  it('has class, module, message, tb, args and kwargs', () => {
    const all = failure({ type: 'a.b.Oops', trace: ['one', 'two'], args: ['x', 1], kwargs: { code: 7 } });
    expect(JSON.parse(encodeFailure(all))).to.deep.equal({
      class: 'Oops',
      module: 'a.b',
      message: 'no good',
      tb: ['one\n', 'two\n'],
      args: ['x', 1],
      kwargs: { code: 7 },
    });
  });

  it('has the message as its argument, and lists where it has nothing', () => {
    expect(encoded({})).to.deep.include({ args: ['no good'], kwargs: {}, tb: [] });
  });

  for (const [type, name, module] of [
    ['builtins.ValueError', 'ValueError', 'builtins'],
    ['nova.exception.NotFound', 'NotFound', 'nova.exception'],
    ['RangeError', 'RangeError', 'node'],
    ['NoSuchMethodError', 'NoSuchMethod', 'oslo_messaging.rpc.dispatcher'],
    ['UnsupportedVersionError', 'UnsupportedVersion', 'oslo_messaging.rpc.dispatcher'],
  ] as const) {
    it(`names ${type} ${name} of ${module}`, () => {
      expect(encoded({ type })).to.include({ class: name, module });
    });
  }

  it('carries arguments that only Python writes', () => {
    const text = encodeFailure(failure({ args: [Number.NaN, 2n ** 70n] }));
    expect(text).to.include('"args":[NaN,1180591620717411303424]');
    expect(decodeFailure(text).args).to.deep.equal([Number.NaN, 2n ** 70n]);
  });
});

describe('a failure from Python', () => {
  it('has type, message, trace without line ends, arguments and keyword arguments', () => {
    expect(
      decoded({ class: 'NotFound', module: 'nova', tb: ['Traceback:\n', '  a\n    b\n'], args: [1], kwargs: { k: 2 } }),
    ).to.deep.equal({
      type: 'nova.NotFound',
      message: 'no good',
      trace: ['Traceback:', '  a\n    b'],
      args: [1],
      kwargs: { k: 2 },
    });
  });

  for (const [module, name, type] of [
    ['builtins', 'ValueError', 'builtins.ValueError'],
    ['exceptions', 'ValueError', 'builtins.ValueError'],
    ['nova.exception', 'NotFound', 'nova.exception.NotFound'],
    ['nova.exception_Remote', 'NotFound_Remote', 'nova.exception.NotFound'],
    ['exceptions_Remote', 'KeyError_Remote', 'builtins.KeyError'],
    ['nova.exception', 'NotFound_Remote', 'nova.exception.NotFound_Remote'],
    ['nova.exception_Remote', 'NotFound', 'nova.exception_Remote.NotFound'],
    ['node', 'RangeError', 'RangeError'],
    ['node_Remote', 'RangeError_Remote', 'RangeError'],
    ['oslo_messaging.rpc.dispatcher', 'NoSuchMethod', 'NoSuchMethodError'],
    ['oslo_messaging.rpc.dispatcher', 'UnsupportedVersion', 'UnsupportedVersionError'],
    ['elsewhere', 'NoSuchMethod', 'elsewhere.NoSuchMethod'],
  ] as const) {
    it(`of ${module}, class ${name}, is a ${type}`, () => {
      expect(decoded({ module, class: name }).type).to.equal(type);
    });
  }

  it('may lack a traceback, arguments or keyword arguments', () => {
    for (const tb of [null, undefined, 'text', 7])
      expect(decoded({ tb, args: null, kwargs: undefined })).to.deep.equal({
        type: 'm.Oops',
        message: 'no good',
        trace: [],
      });
  });

  it('may lack everything', () => {
    expect(decodeFailure('{}')).to.deep.equal({ type: 'Error', message: '', trace: [] });
    expect(decodeFailure({ class: 'A', module: 'b', message: 'not a text' })).to.include({ type: 'b.A' });
  });

  it('that cannot be read says so', () => {
    for (const text of ['', '{', 'null', undefined, null]) {
      const { type, message, trace } = decodeFailure(text);
      expect({ type, trace }).to.deep.equal({ type: 'Error', trace: [] });
      expect(message).to.match(/a failure that cannot be read/);
    }
  });

  it('becomes the error that is registered for it, never one of a name alone', () => {
    class NotFound extends Error {}
    const known = decoded({ module: 'nova', class: 'NotFound' });
    expect(errorOf(known, { 'nova.NotFound': NotFound })).to.be.instanceOf(NotFound);
    expect(errorOf(known, { NotFound })).to.be.instanceOf(RemoteError);
    for (const name of ['constructor', '__proto__', 'toString'])
      expect(errorOf(decoded({ module: 'node', class: name }), {})).to.be.instanceOf(RemoteError);
    expect(errorOf(decoded({ module: 'oslo_messaging.rpc.dispatcher', class: 'NoSuchMethod' }), {})).to.be.instanceOf(
      NoSuchMethodError,
    );
  });

  it('comes back to Python as it was when it is passed on', () => {
    const python = { class: 'E', module: 'a.b', message: 'm', tb: ['t\n'], args: [1, 'x'], kwargs: { k: null } };
    const passed = failureOf(errorOf(decodeFailure(JSON.stringify(python)), {}), {});
    expect(JSON.parse(encodeFailure(passed))).to.deep.equal(python);
    const missing = failureOf(new UnsupportedVersionError('v'), {});
    expect(decodeFailure(encodeFailure(missing)).type).to.equal('UnsupportedVersionError');
  });
});
