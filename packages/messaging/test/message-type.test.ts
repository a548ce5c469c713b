import type { StandardSchemaV1 } from '@standard-schema/spec';
import { expect } from 'chai';
import { defineMessage, MessageTypes, messageTypeOf, TypedMessage } from '../src/message-type.ts';
import { nativeEnvelope } from '../src/native-envelope.ts';
import { envelope, rejection, thrownBy } from './support.ts';

/** A schema as any library's: a check that gives the output, or the issues. */
function schema<Input, Output>(
  validate: StandardSchemaV1.Props<Input, Output>['validate'],
): StandardSchemaV1<Input, Output> {
  return { '~standard': { version: 1, vendor: 'test', validate } };
}

interface Counter {
  readonly name: string;
  readonly volume?: number;
}

function checkCounter(value: unknown): StandardSchemaV1.Result<Required<Counter>> {
  const { name, volume = 1 } = Object(value);
  if (typeof name !== 'string') return { issues: [{ message: 'expected a text', path: ['name'] }] };
  if (typeof volume !== 'number') return { issues: [{ message: 'expected a number', path: [{ key: 'volume' }] }] };
  return { value: { name, volume } };
}

const counter = schema<Counter, Required<Counter>>(checkCounter);
const Metering = defineMessage({ type: 'metering', version: '1.2', payload: counter });

describe('a type of message by a schema', () => {
  it('gives handlers what the schema makes of a payload, without a promise where it needs none', () => {
    expect(Metering.decode({ name: 'cpu' })).to.deep.equal({ name: 'cpu', volume: 1 });
  });

  it('sends the payload as it was given', async () => {
    expect(await Metering.encode({ name: 'cpu' })).to.deep.equal({ name: 'cpu' });
  });

  it('G-22: says which path of a payload is wrong, in either direction', async () => {
    const message = 'the payload of metering 1.2: volume: expected a number';
    const error = thrownBy(() => Metering.decode({ name: 'cpu', volume: '1' }));
    expect(error).to.include({ message, code: 'MALFORMED' });
    const wrong: Counter = JSON.parse('{"name":"cpu","volume":"1"}');
    expect(await rejection(Metering.encode(wrong))).to.include({ message, code: 'MALFORMED' });
  });

  it('takes schemas that need time', async () => {
    const Late = defineMessage({ type: 'late', version: '1.0', payload: schema(async (value) => checkCounter(value)) });
    expect(await Late.decode({ name: 'cpu' })).to.deep.equal({ name: 'cpu', volume: 1 });
    const error = await rejection(Promise.resolve(Late.decode({})));
    expect(error.message).to.equal('the payload of late 1.0: name: expected a text');
    expect(await rejection(Late.encode({}))).to.have.property('code', 'MALFORMED');
  });

  it('tells of many mistakes only the first', () => {
    const issues = Array.from({ length: 1_000 }, (_, index) => ({ message: 'bad', path: ['items', index] }));
    const Bad = defineMessage({ type: 'bad', version: '1.0', payload: schema(() => ({ issues })) });
    expect(thrownBy(() => Bad.decode([])).message).to.equal(
      `the payload of bad 1.0: ${[0, 1, 2, 3, 4].map((index) => `items.${index}: bad`).join('; ')}; and 995 more`,
    );
  });

  it('is checked by the compiler', async () => {
    const decoded: Required<Counter> = await Metering.decode({ name: 'cpu' });
    expect(decoded.volume.toFixed()).to.equal('1');
    // @ts-expect-error: a counter has a name
    expect(await rejection(Metering.encode({ volume: 1 }))).to.have.property('code', 'MALFORMED');
    // @ts-expect-error: the volume is no text
    expect(await rejection(Metering.encode({ name: 'cpu', volume: '1' }))).to.have.property('code', 'MALFORMED');
  });

  it('has a name and a version', () => {
    for (const wrong of [{ type: '' }, { version: '1' }, { version: '' }]) {
      const definition = { type: 'metering', version: '1.0', payload: counter, ...wrong };
      expect(thrownBy(() => defineMessage(definition))).to.have.property('code', 'CONFIG');
    }
  });
});

class ObjectToSend extends TypedMessage {
  readonly arg1: string;
  constructor(arg1: string) {
    super({ messageType: 'some.string', version: '1.0' });
    this.arg1 = arg1;
  }
  shout(): string {
    return this.arg1.toUpperCase();
  }
}

class Plan extends TypedMessage {
  static readonly messageType = 'plan';
  static readonly version = '2.1';
  readonly #steps: readonly string[];
  constructor(steps: readonly string[]) {
    super(Plan);
    this.#steps = steps;
  }
  static fromPayload({ steps }: { readonly steps: readonly string[] }): Plan {
    return new Plan(steps);
  }
  get first(): string | undefined {
    return this.#steps[0];
  }
  override toJSON(): unknown {
    return { steps: this.#steps };
  }
}

describe('a message as an object', () => {
  it('G-22: has its own fields as its payload', () => {
    const message = new ObjectToSend('blah');
    expect(message).to.include({ messageType: 'some.string', version: '1.0' });
    expect(JSON.stringify(message)).to.equal('{"arg1":"blah"}');
  });

  it('has what its toJSON gives as its payload', () => {
    expect(JSON.stringify(new Plan(['boot']))).to.equal('{"steps":["boot"]}');
  });

  it('has no fields that are called as those which say what it is', () => {
    class Confused extends TypedMessage {
      override readonly version: string = 'mine';
    }
    expect(() => new Confused({ messageType: 'confused', version: '1.0' })).to.throw(TypeError);
  });

  it('G-22: arrives as an instance of its class', async () => {
    const type = defineMessage({ type: 'some.string', version: '1.0', class: ObjectToSend });
    const sent = new ObjectToSend('blah');
    const encoded = nativeEnvelope.encode(envelope({ payload: await type.encode(sent) }));
    const arrived = await type.decode(nativeEnvelope.decode(encoded).payload);
    expect(arrived).to.be.instanceOf(ObjectToSend).and.deep.equal(sent);
    expect(arrived.shout()).to.equal('BLAH');
    expect(arrived).to.include({ messageType: 'some.string', version: '1.0' });
    expect(JSON.stringify(arrived)).to.equal('{"arg1":"blah"}');
  });

  it('G-22: is made by its class where that knows how', async () => {
    const type = messageTypeOf(Plan);
    expect(type).to.include({ type: 'plan', version: '2.1' });
    const arrived = await type.decode(await type.encode(new Plan(['boot', 'install'])));
    expect(arrived).to.be.instanceOf(Plan);
    expect(arrived.first).to.equal('boot');
  });

  it('is checked before it is made', async () => {
    class Measured extends TypedMessage {
      static readonly messageType = 'measured';
      static readonly version = '1.0';
      static readonly payload = counter;
      readonly name: string;
      readonly volume = 3;
      constructor(name: string) {
        super(Measured);
        this.name = name;
      }
    }
    const type = messageTypeOf(Measured);
    expect(await type.decode({ name: 'cpu' }))
      .to.be.instanceOf(Measured)
      .and.include({ name: 'cpu', volume: 1 });
    expect(thrownBy(() => type.decode({})).message).to.equal('the payload of measured 1.0: name: expected a text');
    const unnamed = new Measured(JSON.parse('7'));
    expect(await rejection(type.encode(unnamed))).to.have.property('code', 'MALFORMED');
  });

  it('cannot be made of what is no object', () => {
    const type = defineMessage({ type: 'some.string', version: '1.0', class: ObjectToSend });
    for (const payload of [null, 'text', 7, ['list']])
      expect(thrownBy(() => type.decode(payload))).to.have.property('code', 'MALFORMED');
  });

  it('keeps its class whatever its payload says', async () => {
    const type = defineMessage({ type: 'some.string', version: '1.0', class: ObjectToSend });
    const arrived = await type.decode(JSON.parse('{"__proto__":{"shout":1},"messageType":"other","arg1":"blah"}'));
    expect(Object.getPrototypeOf(arrived)).to.equal(ObjectToSend.prototype);
    expect(arrived.shout()).to.equal('BLAH');
    expect(arrived.messageType).to.equal('some.string');
  });
});

describe('the types that a subscriber knows', () => {
  const one = defineMessage({ type: 'metering', version: '1.2', payload: counter });
  const three = defineMessage({ type: 'metering', version: '3.0', payload: counter });
  const types = new MessageTypes([one, three, Plan]);
  const resolve = (message_type: string, message_type_version: string) =>
    types.resolve(envelope({ message_type, message_type_version }));

  for (const [version, kind, type] of [
    ['1.2', 'known', one],
    ['1.0', 'known', one],
    ['1.10', 'known', one],
    ['3.7', 'known', three],
    ['4.0', 'newer-major', three],
    ['10.0', 'newer-major', three],
    ['2.9', 'older-major', three],
    ['0.1', 'older-major', three],
  ] as const)
    it(`G-11: take 1.2 and 3.0 for ${version}: ${kind}`, () => {
      expect(resolve('metering', version)).to.deep.equal({ kind, type });
    });

  it('G-21: leave unknown what they do not know, names that objects inherit included', () => {
    for (const name of ['other', 'toString', '__proto__', '']) expect(resolve(name, '1.0').kind).to.equal('unknown');
  });

  it('know classes by what they say of themselves', () => {
    const found = resolve('plan', '2.0');
    expect(found.kind).to.equal('known');
  });

  it('refuse two of one name and major version', () => {
    expect(
      thrownBy(() => new MessageTypes([one, defineMessage({ type: 'metering', version: '1.3', payload: counter })])),
    )
      .to.have.property('message')
      .that.includes('metering 1.3');
  });
});
