import { expect } from 'chai';
import { z } from 'zod';
import {
  type ContractDefinition,
  checkContracts,
  defineContract,
  formatSnapshots,
  parseSnapshots,
  snapshotOf,
} from '../src/index.ts';
import { Compute, schema, thrownBy } from './support.ts';

const Params = z.object({ name: z.string(), ram: z.int().min(1), size: z.enum(['s', 'm']).default('s') });
const Result = z.object({ id: z.string(), state: z.enum(['up', 'down']) });
const Payload = z.object({ id: z.string(), took: z.number().optional() });

/** A contract with one method and one event, with some of it otherwise. */
function contract(more: {
  readonly params?: z.ZodType;
  readonly result?: z.ZodType;
  readonly payload?: z.ZodType;
  readonly definition?: Partial<ContractDefinition>;
}) {
  const { params = Params, result = Result, payload = Payload, definition = {} } = more;
  return snapshotOf(
    defineContract({
      topic: 'compute',
      version: '1.3',
      methods: { create: { params, result, errors: { Gone: z.object({ id: z.string() }) } } },
      events: { created: { payload } },
      ...definition,
    }),
  );
}

/** The changes as `minor create.params.ram: …`. */
function changes(after: ReturnType<typeof contract>, before = contract({})): readonly string[] {
  const [check] = checkContracts([before], [after]);
  return check?.changes.map(({ needs, path, reason }) => `${needs} ${path}: ${reason}`) ?? [];
}

const method = (more: object) => ({
  create: { params: Params, result: Result, errors: { Gone: z.object({ id: z.string() }) }, ...more },
});

describe('the check of a contract', () => {
  it('finds nothing where nothing changed, descriptions and order aside', () => {
    expect(changes(contract({}))).to.deep.equal([]);
    const size = Params.shape.size.describe('how large');
    expect(changes(contract({ params: z.object({ size, ram: Params.shape.ram, name: z.string() }) }))).to.deep.equal(
      [],
    );
    expect(changes(contract({ result: Result.extend({ state: z.enum(['down', 'up']) }) }))).to.deep.equal([]);
  });

  for (const [what, after, expected] of [
    ['a new method', { definition: { methods: { ...method({}), drop: { params: Params } } } }, 'minor drop: is new'],
    [
      'a new event',
      { definition: { events: { created: { payload: Payload }, gone: { payload: Payload } } } },
      'minor gone: is new',
    ],
    [
      'a new parameter with a default',
      { params: Params.extend({ disk: z.int().default(5) }) },
      'minor create.params.disk: is new, with a default',
    ],
    [
      'a new optional parameter',
      { params: Params.extend({ disk: z.int().optional() }) },
      'minor create.params.disk: is new, and may be missing',
    ],
    [
      'a parameter that may be left out now',
      { params: Params.partial({ ram: true }) },
      'minor create.params.ram: may be missing now',
    ],
    [
      'a parameter that may be more',
      { params: Params.extend({ ram: z.int().min(0) }) },
      'minor create.params.ram: minimum was 1, is 0',
    ],
    [
      'a parameter of one more type',
      { params: Params.extend({ ram: z.int().min(1).nullable() }) },
      'minor create.params.ram: may be null now, was integer',
    ],
    [
      'a new choice of a parameter',
      { params: Params.extend({ size: z.enum(['s', 'm', 'l']).default('s') }) },
      'minor create.params.size: "l" is new',
    ],
    ['more in the result', { result: Result.extend({ host: z.string() }) }, 'minor create.result.host: is new'],
    [
      'fewer choices of a result',
      { result: Result.extend({ state: z.enum(['up']) }) },
      'minor create.result.state: "down" is gone',
    ],
    [
      'a new error',
      { definition: { methods: method({ errors: { Gone: z.object({ id: z.string() }), Full: z.object({}) } }) } },
      'minor create.errors.Full: is new',
    ],
    ['a stream', { definition: { methods: method({ stream: z.number() }) } }, 'minor create.stream: is new'],
    [
      'a new member of an event that may be missing',
      { payload: Payload.extend({ host: z.string().optional() }) },
      'minor created.payload.host: is new, and may be missing',
    ],
  ] as const)
    it(`takes ${what} for a minor change`, () => {
      expect(changes(contract(after))).to.include(expected);
      expect(changes(contract(after)).filter((change) => change.startsWith('major'))).to.deep.equal([]);
    });

  for (const [what, after, expected] of [
    ['a method that is gone', { definition: { methods: {} } }, 'major create: is gone'],
    ['an event that is gone', { definition: { events: {} } }, 'major created: is gone'],
    ['another topic', { definition: { topic: 'other', name: 'compute' } }, 'major topic: was compute, is other'],
    ['another exchange', { definition: { exchange: 'nova' } }, 'major exchange: was not there, is nova'],
    ['another namespace', { definition: { namespace: 'x', name: 'compute' } }, 'major namespace: was not there, is x'],
    [
      'a new parameter that must be given',
      { params: Params.extend({ disk: z.int() }) },
      'major create.params.disk: must be given now',
    ],
    ['a parameter that is gone', { params: Params.omit({ size: true }) }, 'major create.params.size: is gone'],
    [
      'a parameter of another type',
      { params: Params.extend({ name: z.number() }) },
      'major create.params.name: was string, must be number now',
    ],
    [
      'a parameter that may be less',
      { params: Params.extend({ ram: z.int().min(2) }) },
      'major create.params.ram: minimum was 1, is 2',
    ],
    [
      'another default',
      { params: Params.extend({ size: z.enum(['s', 'm']).default('m') }) },
      'major create.params.size: its default was "s", is "m"',
    ],
    [
      'a choice of a parameter that is gone',
      { params: Params.extend({ size: z.enum(['s']).default('s') }) },
      'major create.params.size: "m" is gone',
    ],
    [
      'parameters where no others are taken any more',
      { params: z.strictObject({ name: z.string(), ram: z.int().min(1) }) },
      'major create.params.size: is not accepted any more',
    ],
    [
      'a pattern',
      { params: Params.extend({ name: z.string().regex(/^a/) }) },
      'major create.params.name: pattern was not there, is "^a"',
    ],
    ['less in the result', { result: Result.omit({ id: true }) }, 'major create.result.id: may be missing now'],
    [
      'a new choice of a result',
      { result: Result.extend({ state: z.enum(['up', 'down', 'lost']) }) },
      'major create.result.state: "lost" is new',
    ],
    ['a result that may be null', { result: Result.nullable() }, 'major create.result: may be null now, was object'],
    [
      'a method without its result',
      { definition: { methods: method({ result: undefined }) } },
      'major create.result: is gone',
    ],
    ['an error that is gone', { definition: { methods: method({ errors: {} }) } }, 'major create.errors.Gone: is gone'],
    [
      'an error with less data',
      { definition: { methods: method({ errors: { Gone: z.object({}) } }) } },
      'major create.errors.Gone.id: may be missing now',
    ],
    [
      'a member of an event that old ones lack',
      { payload: Payload.extend({ host: z.string() }) },
      'major created.payload.host: must be given now',
    ],
    [
      'a member of an event that is gone',
      { payload: Payload.omit({ took: true }) },
      'major created.payload.took: is gone',
    ],
    [
      'an event of another priority',
      { definition: { events: { created: { payload: Payload, priority: 'warn' } } } },
      'major created.priority: was info, is warn',
    ],
  ] as const)
    it(`takes ${what} for a major change`, () => {
      expect(changes(contract(after))).to.include(expected);
    });

  it('knows schemas that contain themselves, and unions that grow', () => {
    const Tree = z.object({
      value: z.number(),
      get next() {
        return Tree.optional();
      },
    });
    const Wider = z.object({
      value: z.number().optional(),
      get next() {
        return Wider.optional();
      },
    });
    const circle = z.object({ kind: z.literal('circle'), r: z.number() });
    const square = z.object({ kind: z.literal('square'), a: z.number() });
    const few = z.object({ tree: Tree, shape: z.discriminatedUnion('kind', [circle]) });
    const more = z.object({ tree: Wider, shape: z.discriminatedUnion('kind', [circle, square]) });
    const found = changes(contract({ params: more }), contract({ params: few }));
    expect(found).to.not.be.empty;
    expect(found.filter((change) => change.startsWith('major'))).to.deep.equal([]);
    expect(found).to.include('minor create.params.tree.value: may be missing now');
    expect(changes(contract({ params: few }), contract({ params: more })).join('\n')).to.match(
      /major create\.params\.tree\.value: must be given now/,
    );
  });

  it('takes what it cannot prove for incompatible, and says so', () => {
    const before = { ...contract({}), methods: { create: { params: { type: 'string', format: 'a' } } } };
    const after = { ...contract({}), methods: { create: { params: { type: 'string', not: { const: 'x' } } } } };
    expect(changes(after, before)).to.deep.equal(['major create.params: not was not there, is {"const":"x"}']);
  });

  describe('the version', () => {
    const minor = { params: Params.extend({ disk: z.int().default(5) }) };
    const major = { params: Params.extend({ disk: z.int() }) };
    for (const [what, change, version, wanted] of [
      ['may stay where nothing changed', {}, '1.3', undefined],
      ['must not go back', {}, '1.2', '1.3'],
      ['must be a higher minor one after an addition', minor, '1.3', '1.4'],
      ['is right as a higher minor one after an addition', minor, '1.4', undefined],
      ['is right as a higher major one after an addition', minor, '2.0', undefined],
      ['must be a higher major one after any other change', major, '1.10', '2.0'],
      ['is right as a higher major one after any other change', major, '2.0', undefined],
    ] as const)
      it(what, () => {
        const [check] = checkContracts([contract({})], [contract({ ...change, definition: { version } })]);
        expect(check).to.include({ name: 'compute', before: '1.3', after: version, ok: wanted === undefined });
        expect(check?.wanted).to.equal(wanted);
      });
  });

  it('knows contracts by their names: one may come, none may go', () => {
    const other = contract({ definition: { name: 'other' } });
    expect(checkContracts([contract({})], [contract({}), other])).to.deep.include({
      name: 'other',
      before: undefined,
      after: '1.3',
      changes: [],
      ok: true,
    });
    const [, gone] = checkContracts([contract({}), other], [contract({})]);
    expect(gone).to.include({ name: 'other', after: undefined, ok: false });
  });
});

describe('the snapshot of contracts', () => {
  it('is the same text for the same contracts, and read as it was written', () => {
    const [one, other] = [contract({}), contract({ definition: { name: 'a' } })];
    const text = formatSnapshots([one, other]);
    expect(formatSnapshots([other, one])).to.equal(text);
    expect(text)
      .to.match(/^\{\n {2}"contracts": \[\n {4}\{\n {6}"events": /)
      .and.to.match(/\}\n$/);
    const read = parseSnapshots(text);
    expect(read.map(({ name }) => name)).to.deep.equal(['a', 'compute']);
    expect(checkContracts([one, other], read).every(({ ok, changes: all }) => ok && all.length === 0)).to.equal(true);
  });

  it('has all that a contract says', () => {
    const { methods, events } = snapshotOf(Compute);
    expect(methods['create']).to.have.all.keys('description', 'params', 'result', 'errors');
    expect(methods['fetch']).to.have.all.keys('params', 'stream', 'result');
    expect(events['instance.create.error']).to.deep.include({ priority: 'error' });
  });

  it('says which schema cannot be told as JSON Schema, and what can be done', () => {
    const params = schema(() => ({ value: {} }));
    const Hand = defineContract({ topic: 'hand', version: '1.0', methods: { do: { params } } });
    expect(thrownBy(() => snapshotOf(Hand)))
      .to.have.property('message')
      .that.matches(/^hand\.do\.params: schemas of by hand cannot be told as JSON Schema: .*Standard JSON Schema/);
    const Dated = defineContract({
      topic: 'a',
      version: '1.0',
      events: { e: { payload: z.object({ at: z.date() }) } },
    });
    expect(thrownBy(() => snapshotOf(Dated)))
      .to.have.property('message')
      .that.matches(/^a\.e\.payload: cannot be told as JSON Schema: Date/);
  });

  for (const [what, text] of [
    ['no JSON', '{'],
    ['another format', '{"format":2,"contracts":[]}'],
    ['no contracts', '{"format":1}'],
    ['a contract without a version', '{"format":1,"contracts":[{"name":"a","topic":"a"}]}'],
    ['a contract without events', '{"format":1,"contracts":[{"name":"a","topic":"a","version":"1.0","methods":{}}]}'],
    [
      'a schema that is none',
      '{"format":1,"contracts":[{"name":"a","topic":"a","version":"1.0","methods":{"m":{"params":7}},"events":{}}]}',
    ],
  ] as const)
    it(`refuses a file with ${what}`, () => {
      expect(thrownBy(() => parseSnapshots(text))).to.have.property('code', 'CONFIG');
    });
});
