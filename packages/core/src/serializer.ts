/** What travels beside the arguments: the request's id, the user, … */
export type Context = Readonly<Record<string, unknown>>;

/**
 * Turns an application's own classes into plain values and back, for arguments, results and contexts. Each hook may be
 * left out. `context` is the request's, already plain (going out) or not yet restored (coming in).
 */
export interface Serializer {
  serializeEntity?(context: Context, entity: unknown): unknown;
  deserializeEntity?(context: Context, entity: unknown): unknown;
  serializeContext?(context: Context): Context;
  deserializeContext?(context: Context): Context;
}
