import { ConfigError } from '@posthorn/core';
import { type Outlet, tellAll } from './outlets.ts';

/** Which notifications one outlet of a group takes. Both lists must match, where given; of a list one pattern must. */
export interface RoutingRule {
  /** Patterns with `*`, `?` and `[abc]` over event types. */
  readonly accepted_events?: readonly string[];
  /** Likewise over priorities, in any case. */
  readonly accepted_priorities?: readonly string[];
}

/** By group (any name), by outlet. The form of oslo.messaging's routing file. */
export type RoutingRules = Readonly<Record<string, Readonly<Record<string, RoutingRule | null>>>>;

interface Route {
  readonly outlet: Outlet;
  readonly accepts: (eventType: string, priority: string) => boolean;
}

/** Hands each notification to the outlets whose rules accept it, once each, however many groups name them. */
export function routing(rules: RoutingRules, outlets: readonly Outlet[]): Outlet {
  const routes = Object.entries(rules).flatMap(([group, entries]) => {
    if (typeof entries !== 'object' || entries === null)
      throw new ConfigError(`routing.${group}`, 'expected outlets with their rules');
    return Object.entries(entries).map(([name, rule]) => routeOf(`routing.${group}.${name}`, name, rule, outlets));
  });
  return {
    name: 'routing',
    async notify(notification, context) {
      const { eventType, priority } = notification;
      const chosen = new Set(routes.filter(({ accepts }) => accepts(eventType, priority)).map(({ outlet }) => outlet));
      await tellAll([...chosen], notification, context);
    },
  };
}

function routeOf(path: string, name: string, rule: RoutingRule | null, outlets: readonly Outlet[]): Route {
  const outlet = outlets.find((one) => one.name === name);
  if (outlet === undefined) throw new ConfigError(path, 'no such outlet');
  const { accepted_events, accepted_priorities, ...unknown } = rule ?? {};
  for (const key of Object.keys(unknown)) throw new ConfigError(`${path}.${key}`, 'no such rule');
  const events = patterns(`${path}.accepted_events`, accepted_events);
  const lower = Array.isArray(accepted_priorities)
    ? accepted_priorities.map((glob) => String(glob).toLowerCase())
    : accepted_priorities;
  const priorities = patterns(`${path}.accepted_priorities`, lower);
  return { outlet, accepts: (eventType, priority) => events(eventType) && priorities(priority) };
}

function patterns(path: string, globs: readonly string[] | undefined): (text: string) => boolean {
  if (globs === undefined) return () => true;
  if (!Array.isArray(globs)) throw new ConfigError(path, 'expected a list of patterns');
  const tests = globs.map((glob, index) => {
    try {
      return globToRegExp(String(glob));
    } catch (error) {
      throw new ConfigError(`${path}.${index}`, `"${glob}" is not a pattern`, { cause: error });
    }
  });
  return (text) => tests.some((test) => test.test(text));
}

/** A set: `]` as its first character stands for itself, and `!` before it turns it round. */
const TOKEN = /\[!(\][^\]]*|[^\]]+)\]|\[(?!!)(\][^\]]*|[^\]]+)\]|[*?]|[\\^$.|+(){}[\]]/g;

/** Python's fnmatch. */
export function globToRegExp(glob: string): RegExp {
  const source = glob.replace(TOKEN, (token: string, others: string | undefined, set: string | undefined) => {
    if (token === '*') return '.*';
    if (token === '?') return '.';
    if (others !== undefined) return `[^${literal(others)}]`;
    return set === undefined ? `\\${token}` : `[${literal(set)}]`;
  });
  return new RegExp(`^${source}$`, 's');
}

function literal(set: string): string {
  return set.replace(/[\\\]^]/g, '\\$&');
}
