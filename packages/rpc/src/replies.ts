import { type Cancellation, idsOf, MessagingError, profiles, type Transport } from '@posthorn/core';
import type { Reply, Request, RPCCodec } from './codec.ts';
import { type ErrorRegistry, failureOf } from './errors.ts';

/** What a server answers. */
export class Replies {
  readonly #transport: Transport;
  readonly #codec: RPCCodec;
  readonly #server: string;
  readonly #errors: ErrorRegistry;

  constructor(transport: Transport, codec: RPCCodec, server: string, errors: ErrorRegistry) {
    this.#transport = transport;
    this.#codec = codec;
    this.#server = server;
    this.#errors = errors;
  }

  /**
   * Never rejects: a reply that cannot be written becomes a failure, and one that cannot be sent a log line. Cancels, where
   * it can, when there is nobody to reply to.
   */
  async send(request: Request, reply: Reply, cancellation?: Cancellation): Promise<void> {
    try {
      const to = { kind: 'reply', name: request.replyTo ?? '' } as const;
      const named = request.gather ? { ...reply, server: this.#server } : reply;
      await this.#transport.send(to, this.#codec.encodeReply(request, named), profiles.reply);
    } catch (error) {
      await this.#failed(error, request, reply, cancellation);
    }
  }

  async #failed(error: unknown, request: Request, reply: Reply, cancellation?: Cancellation): Promise<void> {
    const { logger } = this.#transport;
    const { method, id, headers } = request;
    const code = error instanceof MessagingError ? error.code : undefined;
    if ((code === 'MALFORMED' || code === 'TOO_LARGE') && reply.kind !== 'failure') {
      logger.error({ err: error, method, ...idsOf(id, headers) }, 'a result that cannot be sent');
      return await this.send(request, { kind: 'failure', failure: failureOf(error, this.#errors) });
    }
    const isGone = code === 'UNROUTABLE';
    if (isGone) cancellation?.cancel(new MessagingError('CLOSED', 'the caller is gone'));
    logger[isGone ? 'debug' : 'warn']({ err: error, method, ...idsOf(id, headers) }, 'a reply was lost');
  }
}
