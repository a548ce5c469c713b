import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { expect } from 'chai';
import { z } from 'zod';
import { asyncApi, type Contract, defineContract } from '../src/index.ts';
import { Compute } from './support.ts';

const specification = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0.json');
const ajv = new Ajv({ strict: false, logger: false, validateFormats: false, meta: false, validateSchema: false });
const isAsyncApi = ajv.compile(specification);

/** What a reference within the document means. */
function at(document: unknown, reference: string): unknown {
  return reference
    .split('/')
    .slice(1)
    .reduce((found: unknown, part) => Reflect.get(Object(found), part.replaceAll('~1', '/')), document);
}

function referencesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => (key === '$ref' ? [String(member)] : referencesIn(member)));
}

describe('an AsyncAPI document', () => {
  const Tree = z.object({
    value: z.number(),
    get next() {
      return Tree.optional();
    },
  });
  const Odd: Contract = defineContract({
    name: 'odd names',
    description: 'Names that no key may have.',
    topic: 'odd/topic',
    exchange: 'x',
    namespace: 'n',
    version: '1.2.3',
    methods: { 'make a tree': { params: Tree, result: z.tuple([Tree, z.string()]) } },
    events: { 'tree/made': { payload: Tree } },
  });
  const Empty: Contract = defineContract({ topic: 'empty', version: '1.0' });

  for (const contract of [Compute, Odd, Empty])
    describe(`of ${contract.name}`, () => {
      const document = asyncApi(contract);

      it('is one by the specification', () => {
        expect(isAsyncApi(document), JSON.stringify(isAsyncApi.errors?.slice(0, 5))).to.equal(true);
      });

      it('refers only to what is in it', () => {
        for (const reference of referencesIn(document)) expect(at(document, reference), reference).to.be.an('object');
      });
    });

  it('is refused by the specification where it is none', () => {
    expect(isAsyncApi({ ...asyncApi(Compute), channels: 7 })).to.equal(false);
  });

  it('receives calls and replies to them with results, progress and errors; sends events', () => {
    const { operations, channels } = asyncApi(Compute) as {
      operations: Record<string, { action: string; reply?: { messages: { $ref: string }[] } }>;
      channels: Record<string, { address: string | null }>;
    };
    const replies = (name: string) => operations[name]?.reply?.messages.map(({ $ref }) => $ref.split('/').pop());
    expect(operations['create']?.action).to.equal('receive');
    expect(replies('create')).to.deep.equal(['create.result', 'create.QuotaExceeded']);
    expect(replies('fetch')).to.deep.equal(['fetch.result', 'fetch.progress']);
    expect(replies('note')).to.equal(undefined);
    expect(operations['event.instance.create.error']?.action).to.equal('send');
    expect(channels['events.error']?.address).to.equal('notifications.error');
    expect(channels['replies']?.address).to.equal(null);
  });
});
