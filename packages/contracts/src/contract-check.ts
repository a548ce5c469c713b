import type { JsonSchema } from './json-schema.ts';
import { type Change, type Direction, type Needs, schemaChanges } from './schema-changes.ts';
import type { ContractSnapshot, EventSnapshot, MethodSnapshot } from './snapshot.ts';

/** How one contract changed. */
export interface ContractCheck {
  readonly name: string;
  /** The versions; undefined where there was or is no such contract. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly changes: readonly Change[];
  /** Whether the version says what changed. */
  readonly ok: boolean;
  /** The lowest version that would, where it does not. */
  readonly wanted?: string;
}

/**
 * Compares contracts by the rules of their versions: a minor one only adds, so that older peers do not notice. What is not
 * certain to be such an addition needs a major one.
 */
export function checkContracts(
  before: readonly ContractSnapshot[],
  after: readonly ContractSnapshot[],
): readonly ContractCheck[] {
  const names = [...new Set([...before, ...after].map(({ name }) => name))].toSorted();
  return names.map((name) => {
    const old = before.find((one) => one.name === name);
    const fresh = after.find((one) => one.name === name);
    if (old === undefined) return { name, before: undefined, after: fresh?.version, changes: [], ok: true };
    if (fresh === undefined) {
      const changes: readonly Change[] = [{ path: name, reason: 'is gone', needs: 'major' }];
      return { name, before: old.version, after: undefined, changes, ok: false };
    }
    return judged(old, fresh, contractChanges(old, fresh));
  });
}

function judged(old: ContractSnapshot, fresh: ContractSnapshot, changes: readonly Change[]): ContractCheck {
  const needs = changes.some((change) => change.needs === 'major') ? 'major' : changes[0]?.needs;
  const wanted = wantedVersion(old.version, needs);
  const ok = compare(fresh.version, wanted) >= 0;
  const { name } = old;
  return { name, before: old.version, after: fresh.version, changes, ok, ...(!ok && { wanted }) };
}

function wantedVersion(version: string, needs: Needs | undefined): string {
  const [major = 0, minor = 0] = numbers(version);
  if (needs === undefined) return version;
  return needs === 'major' ? `${major + 1}.0` : `${major}.${minor + 1}`;
}

function compare(one: string, other: string): number {
  const others = numbers(other);
  return numbers(one).reduce((found, number, index) => found || number - (others[index] ?? 0), 0);
}

/** Three, always. */
function numbers(version: string): readonly number[] {
  const [major, minor, revision] = version.split('.').map(Number);
  return [major ?? 0, minor ?? 0, revision ?? 0];
}

function contractChanges(old: ContractSnapshot, fresh: ContractSnapshot): readonly Change[] {
  return [
    ...(['topic', 'exchange', 'namespace'] as const).flatMap((key) => valueChange(key, old[key], fresh[key])),
    ...memberChanges(old.methods, fresh.methods, methodChanges),
    ...memberChanges(old.events, fresh.events, eventChanges),
  ];
}

function valueChange(path: string, before: string | undefined, after: string | undefined): readonly Change[] {
  if (before === after) return [];
  const told = (value: string | undefined): string => value ?? 'not there';
  return [{ path, reason: `was ${told(before)}, is ${told(after)}`, needs: 'major' }];
}

/** What came, what went, and what changed in the rest. */
function memberChanges<Member>(
  old: Readonly<Record<string, Member>>,
  fresh: Readonly<Record<string, Member>>,
  changesOf: (before: Member, after: Member, path: string) => readonly Change[],
  prefix = '',
): readonly Change[] {
  const names = [...new Set([...Object.keys(old), ...Object.keys(fresh)])].toSorted();
  return names.flatMap((name) => {
    const path = `${prefix}${name}`;
    const before = Object.hasOwn(old, name) ? old[name] : undefined;
    const after = Object.hasOwn(fresh, name) ? fresh[name] : undefined;
    if (before === undefined) return [{ path, reason: 'is new', needs: 'minor' as const }];
    if (after === undefined) return [{ path, reason: 'is gone', needs: 'major' as const }];
    return changesOf(before, after, path);
  });
}

function methodChanges(old: MethodSnapshot, fresh: MethodSnapshot, path: string): readonly Change[] {
  return [
    ...paramsChanges(old.params, fresh.params, `${path}.params`),
    ...partChanges(old.stream, fresh.stream, `${path}.stream`),
    ...partChanges(old.result, fresh.result, `${path}.result`),
    // An older caller gets an error that it does not know as what any call may reject with: a RemoteError.
    ...memberChanges(
      old.errors ?? {},
      fresh.errors ?? {},
      (before, after, where) => schemaChanges(before, after, 'out', where),
      `${path}.errors.`,
    ),
  ];
}

const NO_ARGUMENTS: JsonSchema = { type: 'object', properties: {} };

function paramsChanges(
  old: JsonSchema = NO_ARGUMENTS,
  fresh: JsonSchema = NO_ARGUMENTS,
  path: string,
): readonly Change[] {
  return schemaChanges(old, fresh, 'in', path);
}

function partChanges(
  old: JsonSchema | undefined,
  fresh: JsonSchema | undefined,
  path: string,
  direction: Direction = 'out',
): readonly Change[] {
  if (old === undefined) return fresh === undefined ? [] : [{ path, reason: 'is new', needs: 'minor' }];
  if (fresh === undefined) return [{ path, reason: 'is gone', needs: 'major' }];
  return schemaChanges(old, fresh, direction, path);
}

function eventChanges(old: EventSnapshot, fresh: EventSnapshot, path: string): readonly Change[] {
  return [
    // Listeners ask for priorities.
    ...valueChange(`${path}.priority`, old.priority, fresh.priority),
    ...schemaChanges(old.payload, fresh.payload, 'both', `${path}.payload`),
  ];
}
