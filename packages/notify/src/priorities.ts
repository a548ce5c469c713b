/** How important a notification is, least first; `audit` and `sample` stand apart, for bookkeeping and metering. */
export const PRIORITIES = ['debug', 'info', 'warn', 'error', 'critical', 'audit', 'sample'] as const;

export type Priority = (typeof PRIORITIES)[number];

/** Reads a priority as any peer writes it: upper case, and `WARNING` for `warn`. Undefined for what is none. */
export function parsePriority(text: unknown): Priority | undefined {
  if (typeof text !== 'string') return undefined;
  const name = text.toLowerCase();
  return PRIORITIES.find((priority) => priority === (name === 'warning' ? 'warn' : name));
}
