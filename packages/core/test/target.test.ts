import { expect } from 'chai';
import { describe as describeAddress } from '../src/address.ts';
import { addressOf, checkTarget } from '../src/target.ts';
import { thrownBy } from './support.ts';

describe('a target', () => {
  it('with a topic means one of its servers', () => {
    expect(addressOf({ topic: 't' }, 'e')).to.deep.equal({ kind: 'anycast', exchange: 'e', topic: 't' });
  });

  it('with a server means that one', () => {
    const address = addressOf({ topic: 't', server: 's', exchange: 'x' }, 'e');
    expect(address).to.deep.equal({ kind: 'unicast', exchange: 'x', topic: 't', server: 's' });
  });

  it('with fanout means all, even where it names a server', () => {
    const address = addressOf({ topic: 't', server: 's', fanout: true }, 'e');
    expect(address).to.deep.equal({ kind: 'multicast', exchange: 'e', topic: 't' });
  });

  it('without a topic cannot be sent to', () => {
    expect(thrownBy(() => addressOf({}, 'e'))).to.have.property('code', 'INVALID_TARGET');
  });

  for (const part of ['exchange', 'topic', 'server'])
    for (const value of ['', 'a.*', '#', 7])
      it(`is refused with ${JSON.stringify(value)} as its ${part}`, () => {
        const error = thrownBy(() => checkTarget({ [part]: value }));
        expect(error).to.have.property('code', 'INVALID_TARGET');
        expect(error.message).to.include(`target.${part}`);
      });

  it('is refused with a namespace that is no text, and with a version that is none', () => {
    expect(thrownBy(() => checkTarget(JSON.parse('{"namespace":1}')))).to.have.property('code', 'INVALID_TARGET');
    expect(thrownBy(() => checkTarget({ version: 'new' }))).to.have.property('path', 'target.version');
  });

  it('is accepted with slashes, dots, spaces and other scripts in its names', () => {
    checkTarget({ exchange: 'e/x', topic: 'a.b c', server: 'höst-1', namespace: '', version: '1.0' });
  });

  it('is printed as people read it', () => {
    expect(describeAddress(addressOf({ topic: 't', server: 's' }, 'e'))).to.equal('unicast e/t@s');
    expect(describeAddress({ kind: 'topic', exchange: 'e', pattern: 'a.#' })).to.equal('topic e/a.#');
    expect(describeAddress({ kind: 'reply' })).to.equal('a reply address');
  });
});
