import type { Draft, DraftOptions, MessageFactory, PlainMessage } from './message-factory.ts';
import type { MessageType, TypedMessage } from './message-type.ts';

/** What can be published by itself: an instance of a class of messages, or the fields of a message. */
export type Publishable = TypedMessage | PlainMessage;

/** What the forms of `publish` have in common: a message and options, or a type, its payload and options. */
export type PublishArguments<Options> =
  | readonly [message: Publishable, options?: Options]
  | readonly [type: MessageType, payload: unknown, options?: Options];

/**
 * The message that was meant, and the options given.
 *
 * @throws {MalformedError} (rejects) when the payload is not of its type
 */
export async function drafted<Options extends DraftOptions>(
  factory: MessageFactory,
  args: PublishArguments<Options>,
): Promise<{ readonly draft: Draft; readonly options: Options | undefined }> {
  if (!isOfType(args)) {
    const [message, options] = args;
    return { draft: factory.createMessage(message, options), options };
  }
  const [type, given, options] = args;
  const payload = await type.encode(given);
  return { draft: factory.createMessage({ messageType: type.type, version: type.version, payload }, options), options };
}

function isOfType<Options>(
  args: PublishArguments<Options>,
): args is readonly [type: MessageType, payload: unknown, options?: Options] {
  return 'encode' in args[0] && !('messageType' in args[0]);
}
