import { MalformedError } from '@posthorn/core';
import { expect } from 'chai';
import fc from 'fast-check';
import { parse, stringify } from '../src/json.ts';

/** Values as JSON has them, with what Python's JSON has besides. */
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.string({ unit: 'binary' }),
    fc.double().filter((n) => !Number.isInteger(n) || Number.isSafeInteger(n)),
    fc.integer(),
    fc.bigInt().filter((n) => !Number.isSafeInteger(Number(n))),
    fc.array(tie('any')),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__'), fc.constant('constructor')), tie('any')),
  ),
})).any;

/** As `-0` is written `0`, and `__proto__` of a dictionary is a key like any other. */
function normal(it: unknown): unknown {
  if (Object.is(it, -0)) return 0;
  if (Array.isArray(it)) return it.map(normal);
  if (typeof it !== 'object' || it === null) return it;
  return Object.entries(it).map(([key, member]) => [key, normal(member)]);
}

describe("Python's JSON", () => {
  it('comes back from text as it was written', () => {
    fc.assert(
      fc.property(value, (it) => {
        expect(normal(parse(stringify(it)))).to.deep.equal(normal(it));
      }),
    );
  });

  it('reads ordinary JSON as JSON.parse does, also beside what JSON.parse cannot read', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom('', ' ', '\n\t\r '), (text, space) => {
        const ordinary = JSON.parse(text);
        if (/\d{16}/.test(text)) return;
        expect(parse(text)).to.deep.equal(ordinary);
        expect(parse(`${space}[NaN${space},${space}${text}${space}]${space}`)).to.deep.equal([Number.NaN, ordinary]);
      }),
    );
  });

  it('writes plain values as JSON.stringify does', () => {
    fc.assert(fc.property(fc.jsonValue(), (it) => stringify(it) === JSON.stringify(it)));
  });

  it('has NaN and the infinities bare', () => {
    const values = { a: Number.NaN, b: [Number.POSITIVE_INFINITY], c: { d: Number.NEGATIVE_INFINITY } };
    expect(stringify(values)).to.equal('{"a":NaN,"b":[Infinity],"c":{"d":-Infinity}}');
    expect(parse(stringify(values))).to.deep.equal(values);
  });

  it('has integers as numbers up to 2^53, and beyond as big integers', () => {
    for (const [text, read] of [
      ['9007199254740991', 9007199254740991],
      ['-9007199254740991', -9007199254740991],
      ['9007199254740992', 9007199254740992n],
      ['9007199254740993', 9007199254740993n],
      ['-9223372036854775808', -(2n ** 63n)],
      ['1180591620717411303424', 2n ** 70n],
      ['0000000000000000.5', undefined],
      ['9007199254740993.0', 9007199254740992],
      ['1e30', 1e30],
      ['1234567890123456000e-3', 1234567890123456],
      ['-0', -0],
    ] as const) {
      if (read === undefined) expect(() => parse(text), text).to.throw(SyntaxError);
      else expect(parse(text), text).to.equal(read);
    }
    expect(stringify([5n, 2n ** 70n, -(2n ** 63n)])).to.equal('[5,1180591620717411303424,-9223372036854775808]');
  });

  it('brings a number that is a large integer back as a big integer that rounds to it', () => {
    for (const number of [2 ** 60, -(2 ** 65), 1e20]) {
      const read = parse(stringify(number));
      expect(read).to.be.a('bigint');
      expect(Number(read)).to.equal(number);
    }
  });

  it('has long digits, NaN and Infinity inside of texts as text', () => {
    for (const text of ['12345678901234567890', 'NaN', '-Infinity', 'a "NaN" \\', '\\"', '\\\\"NaN'])
      expect(parse(JSON.stringify({ [text]: text }))).to.deep.equal({ [text]: text });
  });

  it('reads `__proto__` as a key, and no prototype is changed', () => {
    for (const special of ['1', 'NaN']) {
      const read = parse(`{"__proto__": {"polluted": ${special}}, "constructor": 1}`) as object;
      expect(Object.keys(read)).to.deep.equal(['__proto__', 'constructor']);
      expect(Object.getPrototypeOf(read)).to.equal(Object.prototype);
      expect(read).to.not.have.property('polluted');
    }
  });

  it('writes an own key `__proto__`', () => {
    expect(stringify(JSON.parse('{"__proto__": 1, "b": 2}'))).to.equal('{"__proto__":1,"b":2}');
    expect(stringify(Object.defineProperty({ n: Number.NaN }, '__proto__', { value: 1, enumerable: true }))).to.equal(
      '{"n":NaN,"__proto__":1}',
    );
  });

  it('keeps any text, lone surrogates included', () => {
    const text = 'é ☃ 🦉 \u0000 \u2028 \ud83d end';
    expect(parse(stringify([text, Number.NaN]))).to.deep.equal([text, Number.NaN]);
    expect(parse('["\\u00e9\\ud83e\\udd89", NaN]')).to.deep.equal(['é🦉', Number.NaN]);
  });

  it('reads texts of many megabytes', () => {
    const long = ['a'.repeat(4_000_000), '\\'.repeat(2_000_000), '"'.repeat(2_000_000)];
    for (const text of long) expect((parse(`[NaN,${JSON.stringify(text)}]`) as string[])[1] === text).to.equal(true);
  });

  it('takes the last of two members of one name', () => {
    expect(parse('{"a": NaN, "a": 1}')).to.deep.equal({ a: 1 });
  });

  it('refuses what is not JSON', () => {
    const wrong = ['', ' ', '{', '[', '"', '{"a"}', '{"a":}', '{"a":1,}', '[1,]', '[1 2]', '{a:1}', "{'a':1}"];
    const more = ['01', '-', '1.', '.5', '+1', '0x10', '1e', 'nan', 'Inf', '-NaN', 'NaNa', 'True', '"\n"', '"\\x"'];
    for (const text of [...wrong, ...more]) {
      expect(() => parse(text), text).to.throw(SyntaxError);
      expect(() => parse(`{"n": NaN, "x": ${text}}`), text).to.throw(SyntaxError);
    }
  });

  it('refuses text after the end, and text that ends too soon', () => {
    for (const text of ['NaN NaN', '[NaN]]', '{"a":NaN} x', '[NaN', '{"a":NaN', '{"a":NaN,', '[NaN,"b'])
      expect(() => parse(text), text).to.throw(SyntaxError, /unexpected|unterminated/);
  });

  it('refuses text that is nested too deeply instead of overflowing', () => {
    const nested = (depth: number): string => `${'['.repeat(depth)}NaN${']'.repeat(depth)}`;
    expect(() => parse(nested(900))).to.not.throw();
    for (const depth of [1_001, 1_000_000]) expect(() => parse(nested(depth))).to.throw(SyntaxError, /nested deeper/);
  });

  it('refuses to write what has no form, and says where it is', () => {
    const [circle, list]: [Record<string, unknown>, unknown[]] = [{ nan: Number.NaN }, []];
    circle['self'] = circle;
    list.push(list);
    // Circles that branch take for ever when only a depth stops them.
    const tree: { children: unknown[] } = { children: [] };
    for (let child = 0; child < 3; child++) tree.children.push({ parent: tree });
    let deep: unknown = Number.NaN;
    for (let depth = 0; depth < 5_000; depth++) deep = [deep];
    for (const [it, text] of [
      [{ a: [() => 1] }, 'value.a.0: a function'],
      [{ a: { b: Symbol('s') } }, 'value.a.b: a symbol'],
      [{ m: new Map() }, 'value.m: a Map'],
      [[new Set()], 'value.0: a Set'],
      [{ bytes: Buffer.from('x') }, 'value.bytes: a Buffer'],
      [circle, 'value.self: a circular reference'],
      [list, 'value.0: a circular reference'],
      [tree, 'value.children.0.parent: a circular reference'],
      [deep, 'nested deeper than 1000'],
    ] as const)
      expect(() => stringify(it)).to.throw(MalformedError, text);
  });

  it('leaves out members that are undefined, and has null for them in lists and alone', () => {
    for (const more of [1, Number.NaN]) expect(stringify({ a: undefined, more })).to.equal(`{"more":${more}}`);
    expect(stringify([undefined, Number.NaN])).to.equal('[null,NaN]');
    expect(stringify(undefined)).to.equal('null');
  });

  it('writes what toJSON gives, big integers and NaN included', () => {
    const own = { toJSON: () => ({ big: 2n ** 60n, nan: Number.NaN }) };
    expect(stringify({ own, at: new Date(0) })).to.equal(
      '{"own":{"big":1152921504606846976,"nan":NaN},"at":"1970-01-01T00:00:00.000Z"}',
    );
  });
});
