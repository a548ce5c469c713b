import { ConfigError } from '@posthorn/core';
import type { Outlet } from './outlets.ts';

/** Which notifications one outlet of a group takes. Both lists must match, where given; of a list one pattern must. */
export interface RoutingRule {
  /** Patterns with `*`, `?` and `[abc]` over event types. */
  readonly accepted_events?: readonly string[];
  /** Likewise over priorities, in lower case. */
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
  const routes = Object.entries(rules).flatMap(([group, entries]) =>
    Object.entries(entries).map(([name, rule]): Route => {
      const outlet = outlets.find((one) => one.name === name);
      if (outlet === undefined) throw new ConfigError(`routing.${group}.${name}`, 'no such outlet');
      const events = patterns(`routing.${group}.${name}.accepted_events`, rule?.accepted_events);
      const priorities = patterns(`routing.${group}.${name}.accepted_priorities`, rule?.accepted_priorities);
      return { outlet, accepts: (eventType, priority) => events(eventType) && priorities(priority) };
    }),
  );
  return {
    name: 'routing',
    async notify(notification, context) {
      const { eventType, priority } = notification;
      const chosen = new Set(routes.filter(({ accepts }) => accepts(eventType, priority)).map(({ outlet }) => outlet));
      await Promise.all([...chosen].map((outlet) => outlet.notify(notification, context)));
    },
  };
}

function patterns(path: string, globs: readonly string[] | undefined): (text: string) => boolean {
  if (globs === undefined) return () => true;
  if (!Array.isArray(globs)) throw new ConfigError(path, 'expected a list of patterns');
  const tests = globs.map((glob) => globToRegExp(String(glob)));
  return (text) => tests.some((test) => test.test(text));
}

/** Python's fnmatch. */
function globToRegExp(glob: string): RegExp {
  const source = glob.replace(
    /\[(!?)([^\]]+)\]|[*?]|[\\^$.|+(){}[\]]/g,
    (token, not: string | undefined, set: string | undefined) => {
      if (token === '*') return '.*';
      if (token === '?') return '.';
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replaceAll('\\', '\\\\')}]`;
      return `\\${token}`;
    },
  );
  return new RegExp(`^${source}$`, 's');
}
