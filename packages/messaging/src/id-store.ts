import { ConfigError, RecentIds } from '@posthorn/core';

/**
 * Which messages a group has handled. Serves against replays, and as the opt-in against duplicates. One that all
 * workers of a group share (a database) protects the group; the one in memory protects each process by itself.
 */
export interface IdStore {
  has(group: string, id: string): boolean | Promise<boolean>;
  /** @param until after which the id may be forgotten. Without it: as long as there is room. */
  add(group: string, id: string, until?: Date): void | Promise<void>;
}

export interface MemoryIdStoreOptions {
  /** Ids remembered for certain in each group, the newest ones; at most twice as many are held. Default 100,000. */
  readonly limit?: number;
}

/**
 * Bounded, and gone with the process.
 *
 * @throws {ConfigError} for a limit that is no bound
 */
export function memoryIdStore({ limit = 100_000 }: MemoryIdStoreOptions = {}): IdStore {
  if (!Number.isInteger(limit) || limit < 1) throw new ConfigError('limit', 'expected an integer above 0');
  const groups = new Map<string, RecentIds>();
  return {
    has: (group, id) => groups.get(group)?.has(id) ?? false,
    add(group, id) {
      const ids = groups.get(group) ?? new RecentIds(limit);
      groups.set(group, ids);
      ids.add(id);
    },
  };
}
