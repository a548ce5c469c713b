import { TimeoutError } from '@posthorn/core';
import { expect } from 'chai';
import { errorOf, failureOf, NoSuchMethodError, RemoteError, UnsupportedVersionError } from '../src/errors.ts';

class NotFound extends Error {}
class ImageNotFound extends NotFound {}

const failure = { type: 'NotFound', message: 'gone', trace: ['at a', 'at b'], args: [1], kwargs: { id: 7 } };

describe('remote errors', () => {
  it('leave under the name of the most derived class that is registered', () => {
    const error = new ImageNotFound('gone');
    expect(failureOf(error, { NotFound, 'glance.ImageNotFound': ImageNotFound }).type).to.equal('glance.ImageNotFound');
    expect(failureOf(error, { NotFound }).type).to.equal('NotFound');
    expect(failureOf(error, {}).type).to.equal('Error');
  });

  it('leave under the name they give themselves where none is registered', () => {
    expect(failureOf(new TimeoutError('x', 5), {}).type).to.equal('TimeoutError');
    expect(failureOf(new RangeError('x'), {}).type).to.equal('RangeError');
  });

  it('carry message, stack and named arguments', () => {
    const { message, trace, kwargs } = failureOf(Object.assign(new Error('gone'), { kwargs: { id: 7 } }), {});
    expect([message, kwargs]).to.deep.equal(['gone', { id: 7 }]);
    expect(trace[0]).to.equal('Error: gone');
    expect(trace.length).to.be.above(1);
  });

  for (const thrown of ['text', 7, null, undefined, { an: 'object' }])
    it(`${JSON.stringify(thrown) ?? 'undefined'}, thrown, leaves as an Error with its text`, () => {
      expect(failureOf(thrown, {})).to.deep.equal({ type: 'Error', message: String(thrown), trace: [] });
    });

  it('pass through unchanged', () => {
    expect(failureOf(new RemoteError(failure), { NotFound })).to.deep.equal(failure);
  });

  it('arrive as their class where it is registered, with the remote error as the cause', () => {
    const error = errorOf(failure, { NotFound });
    expect(error).to.be.instanceOf(NotFound).and.include({ message: 'gone' });
    expect(error.cause).to.be.instanceOf(RemoteError).and.deep.include(failure);
  });

  it('arrive as a RemoteError with all they carry where it is not', () => {
    expect(errorOf(failure, {}))
      .to.be.instanceOf(RemoteError)
      .and.deep.include({ ...failure, code: 'REMOTE' });
  });

  it('of the framework itself arrive as its classes', () => {
    for (const ours of [NoSuchMethodError, UnsupportedVersionError])
      expect(errorOf({ type: ours.name, message: 'm', trace: [] }, {})).to.be.instanceOf(ours);
  });

  for (const type of ['toString', 'constructor', '__proto__', 'hasOwnProperty'])
    it(`are never made from ${type}`, () => {
      expect(errorOf({ ...failure, type }, { NotFound })).to.be.instanceOf(RemoteError);
    });
});
