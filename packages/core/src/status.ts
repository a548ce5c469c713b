/**
 * The state of a transport's connection, told through `onStatus` at each change.
 *
 * `connected` → `blocked` (the broker refuses to read: memory or disk alarm) → `connected`
 * `connected` | `blocked` → `disconnected` → `connected` (generation + 1)
 * any → `closed`
 */
export type Status =
  | { readonly state: 'connected'; readonly host: string; readonly generation: number }
  | { readonly state: 'blocked'; readonly reason: string }
  | { readonly state: 'disconnected'; readonly error: Error; readonly attempt: number; readonly retryInMs: number }
  | { readonly state: 'closed' };
