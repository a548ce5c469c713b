import { expect } from 'chai';
import { z } from 'zod';
import { durationMs, fromQuery, parseConfig } from '../src/config.ts';
import { thrownBy } from './support.ts';

const schema = z.strictObject({
  waitMs: durationMs.default(5),
  hosts: z.array(z.strictObject({ port: z.int() })).optional(),
});

describe('configuration', () => {
  it('is returned with its defaults', () => {
    expect(parseConfig(schema, {}, 'options')).to.deep.equal({ waitMs: 5 });
  });

  it('that is wrong is refused with the path to the first wrong option, and without its value', () => {
    const error = thrownBy(() => parseConfig(schema, { hosts: [{ port: 1 }, { port: 'hidden' }] }, 'options'));
    expect(error).to.include({ code: 'CONFIG', path: 'options.hosts.1.port' });
    expect(error.message).to.not.include('hidden');
  });

  it('with an option that does not exist is refused by the name of that option', () => {
    const error = thrownBy(() => parseConfig(schema, { waitMS: 1 }, 'url'));
    expect(error.message).to.equal('url.waitMS: no such option');
    const inner = thrownBy(() => parseConfig(schema, { hosts: [{ port: 1, prot: 2 }] }, 'url'));
    expect(inner.message).to.equal('url.hosts.0.prot: no such option');
  });

  for (const waitMs of [0, -1, 1.5, Number.NaN, '5'])
    it(`refuses ${JSON.stringify(waitMs)} as a duration`, () => {
      expect(thrownBy(() => parseConfig(schema, { waitMs }, 'options'))).to.have.property('path', 'options.waitMs');
    });

  it('in a query is read as numbers and booleans where it looks so', () => {
    const query = { a: '1', b: '-2.5', c: 'true', d: 'false', e: 'text', f: '', g: '1e3', h: '12h' };
    expect(fromQuery(query)).to.deep.equal({ a: 1, b: -2.5, c: true, d: false, e: 'text', f: '', g: '1e3', h: '12h' });
  });
});
