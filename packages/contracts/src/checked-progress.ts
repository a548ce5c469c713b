import type { CallStream } from '@posthorn/rpc';
import { parse, type Schema } from './validation.ts';

/** The same stream, its progress as the schema makes it. A part that does not follow it ends the call, as leaving does. */
export function checkedProgress<Part, End>(
  stream: CallStream<unknown, End>,
  schema: Schema,
  path: string,
): CallStream<Part, End> {
  return {
    result: stream.result,
    async *[Symbol.asyncIterator]() {
      for await (const part of stream) yield (await parse(schema, part, path)) as Part;
    },
    [Symbol.asyncDispose]: () => stream[Symbol.asyncDispose](),
  };
}
