import { BINARY, type ContentCodec, MalformedError, type Message, messageOf } from '@posthorn/core';

/** A message in the making. Filled field by field: spreading optional parts into a literal costs more than all else. */
export type Draft = { -readonly [Field in keyof Message]: Message[Field] };

export function encodeContent(
  contents: readonly ContentCodec[],
  wanted: string | undefined,
  value: unknown,
  what: string,
): Draft {
  if (value instanceof Uint8Array) return { body: value, contentType: BINARY };
  const codec = contents.find(({ contentType }) => contentType === wanted) ?? contents[0];
  if (codec === undefined) throw new MalformedError('no content codec');
  try {
    return { body: codec.encode(value), contentType: codec.contentType };
  } catch (error) {
    throw new MalformedError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

export function decodeContent(
  contents: readonly ContentCodec[],
  { body, contentType }: Message,
  what: string,
): unknown {
  // The body shares memory with the connection's read buffer: what is kept must be a copy.
  if (contentType === BINARY) return Uint8Array.prototype.slice.call(body);
  const codec = contents.find((one) => one.contentType === contentType);
  if (codec === undefined) throw new MalformedError(`${what} are of the unknown content type ${contentType}`);
  try {
    return codec.decode(body);
  } catch (error) {
    throw new MalformedError(`${what} are not ${contentType}: ${messageOf(error)}`, { cause: error });
  }
}
