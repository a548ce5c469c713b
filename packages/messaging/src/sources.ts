import { matcher, type Source } from '@posthorn/core';
import type { Place } from './envelope.ts';

/** What a subscriber listens to. */
export interface Sources {
  readonly list: readonly Source[];
  /** Whether what was published there is for it. */
  include(place: Place): boolean;
}

export function exchangeSources(exchanges: readonly string[], patterns: readonly string[]): Sources {
  const matchers = patterns.map(matcher);
  return {
    list: exchanges.flatMap((exchange) => patterns.map((pattern): Source => ({ kind: 'topic', exchange, pattern }))),
    include: ({ exchange, key }) => exchanges.includes(exchange) && matchers.some((matches) => matches(key)),
  };
}

export function mailboxSource(name: string): Sources {
  return {
    list: [{ kind: 'mailbox', name }],
    include: ({ exchange, key }) => exchange === '' && key === name,
  };
}
