import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalJson } from '../src/canonical.ts';
import { thrownBy } from './support.ts';

describe('canonical JSON', () => {
  it('writes the sample of RFC 8785, section 3.2.2', () => {
    const sample = JSON.parse(String.raw`{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }`);
    expect(canonicalJson(sample)).to.equal(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  it('has the bytes of RFC 8785, section 3.2.4', () => {
    const sample = { numbers: [333333333.3333333, 1e30, 4.5, 2e-3, 1e-27], literals: [null, true, false] };
    const text = canonicalJson({ ...sample, string: '\u20ac$\u000f\nA\'B"\\\\"/' });
    expect(Buffer.from(text).toString('hex')).to.equal(
      [
        '7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e756d62657273223a',
        '5b3333333333333333332e333333333333332c31652b33302c342e352c302e3030322c31652d3237',
        '5d2c22737472696e67223a22e282ac245c75303030665c6e4127425c225c5c5c5c5c222f227d',
      ].join(''),
    );
  });

  it('sorts names by their UTF-16 code units, as the example of RFC 8785, section 3.2.3', () => {
    const sample = JSON.parse(String.raw`{
      "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
      "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
      "\u00f6": "Latin Small Letter O With Diaeresis"
    }`);
    expect([...canonicalJson(sample).matchAll(/:"([^"]+)"/g)].map(([, value]) => value)).to.deep.equal([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  // RFC 8785, appendix B.
  for (const [bits, text] of [
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ] as const)
    it(`writes the number ${bits} as ${text}`, () => {
      expect(canonicalJson(Buffer.from(bits, 'hex').readDoubleBE())).to.equal(text);
    });

  it('does not depend on the order in which members were added', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).reverse());
        expect(canonicalJson(reversed)).to.equal(canonicalJson(object));
      }),
    );
  });

  it('is JSON of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(canonicalJson(JSON.parse(text)))).to.deep.equal(JSON.parse(text));
      }),
    );
  });

  it('keeps a member called __proto__', () => {
    const parsed = JSON.parse('{"b":1,"__proto__":{"admin":true}}');
    expect(canonicalJson(parsed)).to.equal('{"__proto__":{"admin":true},"b":1}');
  });

  it('takes objects without a prototype', () => {
    expect(canonicalJson(Object.assign(Object.create(null), { a: 1 }))).to.equal('{"a":1}');
  });

  it('refuses what JSON cannot carry, and says where', () => {
    const bad: readonly (readonly [unknown, string])[] = [
      [{ a: [1, Number.NaN] }, 'value.a.1: NaN'],
      [{ a: Number.POSITIVE_INFINITY }, 'value.a: Infinity'],
      [undefined, 'value: undefined'],
      [{ a: { b: undefined } }, 'value.a.b: undefined'],
      [new Array(1), 'value.0: undefined'],
      [{ a: () => 1 }, 'value.a: a function'],
      [{ a: Symbol('s') }, 'value.a: a symbol'],
      [[1n], 'value.0: a bigint'],
      [{ a: '\ud800' }, 'value.a: a lone surrogate'],
      [{ a: ['x\udc00\ud800'] }, 'value.a.0: a lone surrogate'],
      [{ when: new Date(0) }, 'value.when: a Date'],
      [{ a: new Map() }, 'value.a: a Map'],
      [{ a: Buffer.from('x') }, 'value.a: a Buffer'],
    ];
    for (const [value, message] of bad) {
      const error = thrownBy(() => canonicalJson(value));
      expect(error.message, message).to.include(message);
      expect(error, message).to.have.property('code', 'MALFORMED');
    }
    expect(thrownBy(() => canonicalJson({ '\ud800': 1 }))).to.have.property('code', 'MALFORMED');
  });

  it('refuses circles, also where they branch, and what is nested too deep for the stack', () => {
    const circle: unknown[] = [];
    circle.push(circle, circle);
    expect(thrownBy(() => canonicalJson(circle)).message).to.include('circular');
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`);
    expect(thrownBy(() => canonicalJson(deep)).message).to.include('nested deeper');
  });
});
