/** Something that handles a call: a client's way out and a server's way in have the same shape. */
export type Invoke<Call> = (call: Call) => Promise<unknown>;

/** Wraps an `Invoke`: tracing, metrics, authorisation. The first of a list is the outermost. */
export type Layer<Call> = (next: Invoke<Call>) => Invoke<Call>;

/** Wraps once, at construction; a call pays only for the functions themselves. */
export function compose<Call>(layers: readonly Layer<Call>[], last: Invoke<Call>): Invoke<Call> {
  return layers.reduceRight((next, layer) => layer(next), last);
}
