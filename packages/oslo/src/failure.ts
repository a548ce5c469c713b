import { messageOf } from '@posthorn/core';
import type { Failure } from '@posthorn/rpc';
import { parse, stringify } from './json.ts';

/** Errors of ours that oslo.messaging knows by other names. */
const PYTHON_NAMES: ReadonlyMap<string, string> = new Map([
  ['NoSuchMethodError', 'oslo_messaging.rpc.dispatcher.NoSuchMethod'],
  ['UnsupportedVersionError', 'oslo_messaging.rpc.dispatcher.UnsupportedVersion'],
]);
const OUR_NAMES: ReadonlyMap<string, string> = new Map([...PYTHON_NAMES].map(([ours, theirs]) => [theirs, ours]));

/** The module of errors that name none. Python callers see a `RemoteError` unless they allow it. */
const MODULE = 'node';
/** What Python adds to the names of errors that it passes on. */
const PROXIED = '_Remote';

/** The `failure` of a reply: JSON text of class, module, message, tb, args and kwargs. */
export function encodeFailure({ type, message, trace, args, kwargs }: Failure): string {
  const name = PYTHON_NAMES.get(type) ?? type;
  const dot = name.lastIndexOf('.');
  return stringify({
    class: name.slice(dot + 1),
    module: dot < 0 ? MODULE : name.slice(0, dot),
    message,
    tb: trace.map((line) => `${line}\n`),
    args: args ?? [message],
    kwargs: kwargs ?? {},
  });
}

export function decodeFailure(text: unknown): Failure {
  try {
    const value = typeof text === 'string' ? parse(text) : text;
    const { class: name, module, message, tb, args, kwargs } = value as Readonly<Record<string, unknown>>;
    return {
      type: typeOf(String(module ?? MODULE), String(name ?? 'Error')),
      message: String(message ?? ''),
      trace: Array.isArray(tb) ? tb.map((line) => String(line).replace(/\n$/, '')) : [],
      ...(Array.isArray(args) && { args }),
      ...(typeof kwargs === 'object' && kwargs !== null && { kwargs: { ...kwargs } }),
    };
  } catch (error) {
    return { type: 'Error', message: `a failure that cannot be read: ${messageOf(error)}`, trace: [] };
  }
}

function typeOf(module: string, name: string): string {
  const proxied = module.endsWith(PROXIED) && name.endsWith(PROXIED);
  const plainModule = proxied ? module.slice(0, -PROXIED.length) : module;
  const plainName = proxied ? name.slice(0, -PROXIED.length) : name;
  if (plainModule === MODULE) return plainName;
  const full = `${plainModule === 'exceptions' ? 'builtins' : plainModule}.${plainName}`;
  return OUR_NAMES.get(full) ?? full;
}
