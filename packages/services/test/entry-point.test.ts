import { expect } from 'chai';
import { EntryPoint } from '../src/index.ts';
import { thrownBy } from './support.ts';

describe('an entry point', () => {
  for (const [text, service, method] of [
    ['hello', 'hello', undefined],
    ['hello.world', 'hello', 'world'],
    ['test_hello.hello_with_error', 'test_hello', 'hello_with_error'],
  ] as const)
    it(`T-04: reads and writes "${text}"`, () => {
      const entryPoint = EntryPoint.parse(text);
      expect([entryPoint?.service, entryPoint?.method]).to.deep.equal([service, method]);
      expect(`${entryPoint}`).to.equal(text);
      expect(JSON.stringify({ entryPoint })).to.equal(`{"entryPoint":"${text}"}`);
    });

  it('T-04: nothing is no entry point, and has no routing key', () => {
    expect(EntryPoint.parse('')).to.equal(undefined);
    expect(thrownBy(() => EntryPoint.required('', 'source'))).to.include({
      name: 'FieldMustFullyDefined',
      number: 1003,
    });
  });

  for (const text of ['a.b.c', '.', 'a.', '.b', 'a.*', '#', 'a b'])
    it(`T-04: "${text}" is a WrongEntryPointFormat`, () => {
      expect(thrownBy(() => EntryPoint.parse(text))).to.include({ name: 'WrongEntryPointFormat', number: 1006 });
    });

  it('T-04: equals another of the same service and method', () => {
    const one = new EntryPoint('a', 'b');
    expect(one.equals(EntryPoint.parse('a.b'))).to.equal(true);
    for (const other of ['a', 'a.c', 'b.b', '']) expect(one.equals(EntryPoint.parse(other)), other).to.equal(false);
  });
});
