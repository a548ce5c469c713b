import type { Contract } from './contract.ts';
import { isKeywords, type JsonSchema, refers } from './json-schema.ts';
import { type ContractSnapshot, type MethodSnapshot, snapshotOf } from './snapshot.ts';

type Part = Readonly<Record<string, unknown>>;

const SCHEMA_FORMAT = 'application/schema+json;version=draft-07';

/**
 * The contract as an AsyncAPI 3.0 document, from the view of the service: it receives calls and replies to them, and sends
 * events.
 *
 * @throws {ConfigError} naming the schema that cannot be told as JSON Schema
 */
export function asyncApi(contract: Contract): Part {
  const snapshot = snapshotOf(contract, 'draft-07');
  const { name, description, version } = snapshot;
  return {
    asyncapi: '3.0.0',
    info: { title: name, version: fullVersion(version), ...(description !== undefined && { description }) },
    defaultContentType: 'application/json',
    channels: channelsOf(snapshot),
    operations: operationsOf(snapshot),
    components: { messages: messagesOf(snapshot) },
  };
}

/** `major.minor.revision`, as AsyncAPI's tools have it. */
function fullVersion(version: string): string {
  return version.split('.').length === 2 ? `${version}.0` : version;
}

/** What keys of components may consist of. */
function key(...parts: readonly string[]): string {
  return parts.join('.').replace(/[^A-Za-z0-9.\-_]/g, '_');
}

function reference(...path: readonly string[]): Part {
  const parts = path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'));
  return { $ref: `#/${parts.join('/')}` };
}

interface Told {
  readonly key: string;
  readonly title: string;
  readonly payload: JsonSchema;
  readonly description?: string | undefined;
  /** The type that the message bears. */
  readonly type?: string;
}

/** What a method is sent. */
function requestOf(name: string, { params, description }: MethodSnapshot): Told {
  return { key: key(name), title: name, payload: params ?? { type: 'object' }, description, type: name };
}

/** What a method answers. */
function repliesOf(name: string, { result, stream, errors = {} }: MethodSnapshot): readonly Told[] {
  if (result === undefined) return [];
  return [
    { key: key(name, 'result'), title: `${name}: result`, payload: result },
    ...(stream === undefined ? [] : [{ key: key(name, 'progress'), title: `${name}: progress`, payload: stream }]),
    ...Object.entries(errors).map(([type, data]) => ({
      key: key(name, type),
      title: `${name}: ${type}`,
      payload: failureOf(type, data),
    })),
  ];
}

/** A failure as it travels. */
function failureOf(type: string, data: JsonSchema): JsonSchema {
  const properties = { type: { const: type }, message: { type: 'string' }, kwargs: data };
  return { type: 'object', properties, required: ['type', 'message'] };
}

function eventsOf({ events }: ContractSnapshot): readonly (Told & { readonly priority: string })[] {
  return Object.entries(events).map(([event, { payload, priority, description }]) => ({
    key: key('event', event),
    title: event,
    payload,
    description,
    priority,
  }));
}

function channelsOf(snapshot: ContractSnapshot): Part {
  const { topic, methods, exchange, namespace } = snapshot;
  const all = Object.entries(methods);
  const at = [
    exchange === undefined ? '' : ` in the exchange ${exchange}`,
    namespace === undefined ? '' : `, namespace ${namespace}`,
  ].join('');
  const priorities = new Set(eventsOf(snapshot).map(({ priority }) => priority));
  const requests = all.map(([name, method]) => requestOf(name, method));
  const replies = all.flatMap(([name, method]) => repliesOf(name, method));
  return {
    ...(requests.length > 0 && {
      requests: { address: topic, description: `Calls and casts${at}.`, messages: references(requests) },
    }),
    ...(replies.length > 0 && {
      replies: { address: null, description: 'Where the caller wants its replies.', messages: references(replies) },
    }),
    ...Object.fromEntries(
      [...priorities].map((priority) => [
        `events.${priority}`,
        {
          address: `notifications.${priority}`,
          description: `Notifications of the priority ${priority}.`,
          messages: references(eventsOf(snapshot).filter((event) => event.priority === priority)),
        },
      ]),
    ),
  };
}

function references(told: readonly Told[]): Part {
  return Object.fromEntries(told.map((one) => [one.key, reference('components', 'messages', one.key)]));
}

function operationsOf(snapshot: ContractSnapshot): Part {
  const methods = Object.entries(snapshot.methods).map(([name, method]) => {
    const request = requestOf(name, method);
    const replies = repliesOf(name, method);
    const operation = {
      action: 'receive',
      ...(method.description !== undefined && { description: method.description }),
      channel: reference('channels', 'requests'),
      messages: [reference('channels', 'requests', 'messages', request.key)],
      ...(replies.length > 0 && {
        reply: {
          channel: reference('channels', 'replies'),
          messages: replies.map((reply) => reference('channels', 'replies', 'messages', reply.key)),
        },
      }),
    };
    return [request.key, operation];
  });
  const events = eventsOf(snapshot).map(({ key: event, priority, description }) => {
    const channel = `events.${priority}`;
    const operation = {
      action: 'send',
      ...(description !== undefined && { description }),
      channel: reference('channels', channel),
      messages: [reference('channels', channel, 'messages', event)],
    };
    return [event, operation];
  });
  return Object.fromEntries([...methods, ...events]);
}

function messagesOf(snapshot: ContractSnapshot): Part {
  const methods = Object.entries(snapshot.methods);
  const all: readonly Told[] = [
    ...methods.map(([name, method]) => requestOf(name, method)),
    ...methods.flatMap(([name, method]) => repliesOf(name, method)),
    ...eventsOf(snapshot),
  ];
  return Object.fromEntries(
    all.map(({ key: message, title, payload, description, type }) => [
      message,
      {
        name: title,
        title,
        ...(description !== undefined && { description }),
        contentType: 'application/json',
        ...(type !== undefined && { bindings: { amqp: { messageType: type, bindingVersion: '0.3.0' } } }),
        payload: placed(payload, message),
      },
    ]),
  );
}

/** References count from the root of the document that they stand in. */
function placed(payload: JsonSchema, message: string): unknown {
  if (!refers(payload)) return payload;
  const root = `#/components/messages/${message}/payload/schema`;
  return { schemaFormat: SCHEMA_FORMAT, schema: moved(payload, root) };
}

function moved(value: unknown, root: string): unknown {
  if (Array.isArray(value)) return value.map((one) => moved(one, root));
  if (!isKeywords(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) =>
      name === '$ref' && typeof member === 'string' ? [name, member.replace(/^#/, root)] : [name, moved(member, root)],
    ),
  );
}
