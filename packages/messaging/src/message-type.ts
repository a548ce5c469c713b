import { ConfigError, checkVersion, MalformedError } from '@posthorn/core';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Envelope } from './envelope.ts';
import { isObject } from './json-body.ts';

/** What publisher and subscriber agree on. Made by `defineMessage`; checked by the compiler and at run time. */
export interface MessageType<Payload = unknown, Input = Payload> {
  readonly type: string;
  /** `major.minor` */
  readonly version: string;
  /**
   * What travels: the payload as it was given, once it was checked. Defaults and conversions of the schema are applied
   * where it arrives.
   *
   * @throws {MalformedError} (rejects) saying where it is wrong: `counter.volume: expected a number`
   */
  encode(payload: Input): Promise<unknown>;
  /**
   * What handlers get. A promise only where the schema is asynchronous.
   *
   * @throws {MalformedError} or rejects, as `encode`
   */
  decode(payload: unknown): Payload | Promise<Payload>;
}

/** A Standard Schema of any library: zod, valibot, arktype, … */
type Schema = StandardSchemaV1;

interface SchemaDefinition<S extends Schema> {
  readonly type: string;
  /** `major.minor` */
  readonly version: string;
  readonly payload: S;
}

interface ClassDefinition<Instance extends TypedMessage> {
  readonly type: string;
  /** `major.minor` */
  readonly version: string;
  readonly class: Revivable<Instance>;
  /** Checks payloads before instances are made of them. */
  readonly payload?: Schema;
}

interface Revivable<Instance extends TypedMessage> {
  readonly prototype: Instance;
  /** Makes the instance of a payload. Without it, no constructor runs: the payload's members become the instance's. */
  fromPayload?(payload: unknown): Instance;
}

/** A class of messages that says itself what it is: `static readonly messageType = 'metering'`, and its version. */
export interface MessageClass<Instance extends TypedMessage = TypedMessage> extends Revivable<Instance> {
  readonly messageType: string;
  readonly version: string;
  readonly payload?: Schema;
}

/**
 * A type of message, by the schema of its payload or by its class.
 *
 * ```ts
 * const Metering = defineMessage({ type: 'metering', version: '1.0', payload: z.object({ counter: z.string() }) });
 * const Plan = defineMessage({ type: 'plan', version: '1.0', class: ExecutionPlan });
 * ```
 *
 * @throws {ConfigError} for an empty type, or a version that is not `major.minor`
 */
export function defineMessage<S extends Schema>(
  definition: SchemaDefinition<S>,
): MessageType<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferInput<S>>;
export function defineMessage<Instance extends TypedMessage>(
  definition: ClassDefinition<Instance>,
): MessageType<Instance>;
export function defineMessage(definition: SchemaDefinition<Schema> | ClassDefinition<TypedMessage>): MessageType {
  const { type, version, payload: schema } = definition;
  if (type === '') throw new ConfigError('type', 'the type of a message is a text that is not empty');
  checkVersion('version', version);
  const what = `the payload of ${type} ${version}`;
  const checked = (payload: unknown): unknown => (schema === undefined ? payload : validate(what, schema, payload));
  if (!('class' in definition)) {
    return {
      type,
      version,
      decode: checked,
      async encode(payload) {
        await checked(payload);
        return payload;
      },
    };
  }
  const instance = (payload: unknown): TypedMessage => revive(what, definition, payload);
  return {
    type,
    version,
    decode(payload) {
      const value = checked(payload);
      return value instanceof Promise ? value.then(instance) : instance(value);
    },
    async encode(message) {
      const payload = message instanceof TypedMessage ? message.toJSON() : message;
      await checked(payload);
      return payload;
    },
  };
}

/** What the class says of itself, as a type. A type is returned as it is. */
export function messageTypeOf<Payload, Input>(type: MessageType<Payload, Input>): MessageType<Payload, Input>;
export function messageTypeOf<Instance extends TypedMessage>(type: MessageClass<Instance>): MessageType<Instance>;
export function messageTypeOf(type: MessageType | MessageClass): MessageType;
export function messageTypeOf(type: MessageType | MessageClass): MessageType {
  if ('decode' in type) return type;
  const { messageType, version, payload } = type;
  return defineMessage({ type: messageType, version, class: type, ...(payload && { payload }) });
}

interface About {
  readonly messageType: string;
  /** `major.minor` */
  readonly version: string;
}

/**
 * A message as an object of its own class. Its own fields are the payload, unless it has a `toJSON` that says
 * otherwise; none may be called `messageType` or `version`.
 */
export abstract class TypedMessage {
  declare readonly messageType: string;
  declare readonly version: string;

  /** @param about may be the class itself, where it is a `MessageClass` */
  constructor({ messageType, version }: About) {
    Object.defineProperties(this, hidden({ messageType, version }));
  }

  toJSON(): unknown {
    return { ...this };
  }
}

/** Not enumerable, so that they are no part of the payload. */
function hidden({ messageType, version }: About): PropertyDescriptorMap {
  return { messageType: { value: messageType }, version: { value: version } };
}

function revive(
  what: string,
  { type, version, class: to }: ClassDefinition<TypedMessage>,
  payload: unknown,
): TypedMessage {
  if (to.fromPayload !== undefined) return to.fromPayload(payload);
  if (!isObject(payload)) throw new MalformedError(`${what}: not an object`);
  // Defined, not assigned: no setter runs, and a member `__proto__` is one like any other.
  const members = Object.getOwnPropertyDescriptors(payload);
  return Object.create(to.prototype, { ...members, ...hidden({ messageType: type, version }) });
}

/** Where it is synchronous no promise is made: it runs for each message. */
function validate(what: string, schema: Schema, value: unknown): unknown {
  const result = schema['~standard'].validate(value);
  return result instanceof Promise ? result.then((later) => outputOf(what, later)) : outputOf(what, result);
}

/** Told at most; a list with a mistake in each item would fill the log. */
const ISSUES = 5;

function outputOf(what: string, result: StandardSchemaV1.Result<unknown>): unknown {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.slice(0, ISSUES).map(({ path = [], message }) => {
    const where = path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  const more = result.issues.length - issues.length;
  throw new MalformedError(`${what}: ${issues.join('; ')}${more > 0 ? `; and ${more} more` : ''}`);
}

/**
 * What a subscriber knows of a message's type. `known`: the same major version, be its minor older or newer, which only
 * adds. `newer-major`, `older-major`: than every major known here, or than the newest of them, which `type` is.
 */
export type Resolution =
  | { readonly kind: 'known' | 'newer-major' | 'older-major'; readonly type: MessageType }
  | { readonly kind: 'unknown' };

/** The types that a subscriber knows, at most one for each major version. */
export class MessageTypes {
  /** By name; the newest major first. */
  readonly #types = new Map<string, readonly MessageType[]>();

  constructor(types: Iterable<MessageType | MessageClass> = []) {
    for (const type of types) this.add(type);
  }

  /** @throws {ConfigError} where the type is known in that major version */
  add(given: MessageType | MessageClass): void {
    const type = messageTypeOf(given);
    const known = this.#types.get(type.type) ?? [];
    const same = known.find((one) => major(one.version) === major(type.version));
    if (same !== undefined)
      throw new ConfigError('types', `${type.type} ${type.version} is there as ${same.version}: one for each major`);
    this.#types.set(
      type.type,
      [...known, type].sort((a, b) => major(b.version) - major(a.version)),
    );
  }

  resolve({ message_type, message_type_version }: Envelope): Resolution {
    // A look-up takes the hash of the text, which every message brings along anew.
    const known = this.#types.size === 0 ? undefined : this.#types.get(message_type);
    const newest = known?.[0];
    if (known === undefined || newest === undefined) return { kind: 'unknown' };
    const wanted = major(message_type_version);
    const type = known.find((one) => major(one.version) === wanted);
    if (type !== undefined) return { kind: 'known', type };
    return { kind: wanted > major(newest.version) ? 'newer-major' : 'older-major', type: newest };
  }
}

function major(version: string): number {
  return Number.parseInt(version, 10);
}
