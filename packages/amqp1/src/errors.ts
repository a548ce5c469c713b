import { AccessError, ConfigError, ConnectionError, DeliveryError, MessagingError, messageOf } from '@posthorn/core';

/** An error of the peer, as frames carry it and as rhea throws it. */
interface Conditioned {
  readonly condition?: string;
  readonly description?: string;
}

const LONGEST = 300;

/** What the peer said about an error: `amqp:not-found: no queue 'q'`. */
export function peerText(error: unknown): string {
  const { condition, description } = conditioned(error);
  if (condition === undefined) return messageOf(error);
  // RabbitMQ describes an internal error by its whole stack.
  const [line = ''] = (description ?? '').split('\n');
  return line === '' ? condition : `${condition}: ${line.slice(0, LONGEST)}`;
}

export function isNotFound(error: unknown): boolean {
  return conditioned(error).condition === 'amqp:not-found';
}

const BEING_MADE = /down or inaccessible|\{error,noproc\}/;
const BEING_MADE_MS = 50;

/**
 * Tries so many times more, where RabbitMQ 4.0 stumbles over a queue that another makes at the moment: it takes it for one whose
 * node is down, or finds no process of it.
 */
export async function onceMade<T>(more: number, attempt: () => Promise<T>): Promise<T> {
  for (let left = more; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (left === 0 || !BEING_MADE.test(messageOf(error))) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, BEING_MADE_MS));
  }
}

/** rhea hangs its connection on its errors, with the credentials and all. What stays is what the peer said. */
export function withoutConnection(error: unknown): unknown {
  if (!(error instanceof Error) || !('connection' in error)) return error;
  const { condition, description } = conditioned(error);
  return Object.assign(new Error(error.message), { condition, description });
}

/** Why a connection could not be opened. The text names the host and never holds a secret. */
export function connectError(error: unknown, host: string, user: string): MessagingError {
  if (error instanceof MessagingError) return error;
  const cause = { cause: error };
  const { condition } = conditioned(error);
  if (condition === 'amqp:unauthorized-access')
    return new AccessError(`${host}: the broker refused the credentials of user "${user}" (${peerText(error)})`, cause);
  if (condition === 'amqp:not-allowed' || condition === 'amqp:not-found')
    return new AccessError(`${host}: the broker refused user "${user}": ${peerText(error)}`, cause);
  if (messageOf(error).includes('SASL layer')) return new AccessError(`${host}: ${messageOf(error)}`, cause);
  if (isTlsError(error)) return new AccessError(`${host}: TLS verification failed: ${messageOf(error)}`, cause);
  return new ConnectionError(`${host}: ${reason(error)}`, cause);
}

/** Why a link could not be attached, or was taken away. */
export function linkError(error: unknown, what: string): MessagingError {
  if (error instanceof MessagingError) return error;
  const cause = { cause: error };
  const text = `${what}: ${peerText(error)}`;
  switch (conditioned(error).condition) {
    case 'amqp:unauthorized-access':
      return new AccessError(text, cause);
    case 'amqp:not-found':
    case 'amqp:not-implemented':
    case 'amqp:not-allowed':
    case 'amqp:invalid-field':
    case 'amqp:precondition-failed':
    case 'amqp:resource-locked':
      return new ConfigError('', text, cause);
    default:
      return new ConnectionError(text, cause);
  }
}

/**
 * The id of the delivery that a session was ended for: RabbitMQ 4.0 does so over a message for a quorum queue that is just
 * being deleted, instead of refusing it.
 */
export function refusedId(error: unknown): number | undefined {
  const [, id] =
    /^Failed to deliver message to queues.* delivery_id=(\d+)/.exec(conditioned(error).description ?? '') ?? [];
  return id === undefined ? undefined : Number(id);
}

/** Why the broker did not take a message, where it says so. */
export function refusal(error: unknown, what: string): MessagingError {
  const { condition } = conditioned(error);
  if (condition === undefined) return new DeliveryError(`${what}: the broker refused the message`);
  if (condition === 'amqp:unauthorized-access') return new AccessError(`${what}: ${peerText(error)}`, { cause: error });
  return new DeliveryError(`${what}: the broker refused the message: ${peerText(error)}`, { cause: error });
}

function conditioned(error: unknown): Conditioned {
  return typeof error === 'object' && error !== null ? error : {};
}

function reason(error: unknown): string {
  // Node reports one error for each address of a name, and none of them in the text.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(codeOf(error)))
    return 'the peer does not speak TLS: is this the port for amqp1://?';
  if (codeOf(error) === 'ECONNRESET')
    return `${peerText(error)}: the peer hung up without a word, as RabbitMQ 4 does where it has no such vhost`;
  return peerText(error);
}

/** A certificate that one side does not accept. */
function isTlsError(error: unknown): boolean {
  return /^(ERR_TLS_CERT|ERR_SSL_.*(ALERT|CERT)|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_)/.test(
    codeOf(error),
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
