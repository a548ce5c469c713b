import { AccessError, ConfigError, ConnectionError, MessagingError, messageOf } from '@posthorn/core';

/** Reply codes of AMQP 0-9-1 (section 1.2 of its specification), as far as we tell them apart. */
const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;
const RESOURCE_LOCKED = 405;
const PRECONDITION_FAILED = 406;
const NOT_ALLOWED = 530;

/** The reply code inside an error of amqplib, which puts it into a property or only into the text. */
function replyCode(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'number') return error.code;
  const match = /replyCode"?: ?(\d{3})|: (\d{3}) \(/.exec(messageOf(error));
  return match === null ? undefined : Number(match[1] ?? match[2]);
}

export function isPreconditionFailed(error: unknown): boolean {
  return replyCode(error) === PRECONDITION_FAILED;
}

export function isNotFound(error: unknown): boolean {
  return replyCode(error) === NOT_FOUND;
}

/** Why a connection could not be opened. The text names the host and never holds a secret. */
export function connectError(error: unknown, host: string, vhost: string, user: string): MessagingError {
  if (error instanceof MessagingError) return error;
  const cause = { cause: error };
  const code = replyCode(error);
  if (code === ACCESS_REFUSED)
    return new AccessError(`${host}: the broker refused the credentials of user "${user}"`, cause);
  if (code === NOT_ALLOWED || isRefusedOpen(error))
    return new AccessError(`${host}: user "${user}" may not use the vhost "${vhost}", or it does not exist`, cause);
  if (messageOf(error).startsWith('SASL mechanism')) return new AccessError(`${host}: ${messageOf(error)}`, cause);
  if (isTlsError(error)) return new AccessError(`${host}: TLS verification failed: ${messageOf(error)}`, cause);
  return new ConnectionError(`${host}: ${reason(error)}`, cause);
}

/** Why a channel operation failed: what we declare or subscribe to. */
export function channelError(error: unknown, what: string): MessagingError {
  if (error instanceof MessagingError) return error;
  const cause = { cause: error };
  const text = `${what}: ${brokerText(error)}`;
  switch (replyCode(error)) {
    case ACCESS_REFUSED:
      return new AccessError(text, cause);
    case NOT_FOUND:
    case RESOURCE_LOCKED:
    case PRECONDITION_FAILED:
      return new ConfigError('', text, cause);
    default:
      return new ConnectionError(text, cause);
  }
}

/** The exchange that the user may not write to, where that is why a channel was closed. */
export function forbiddenExchange(error: unknown): string | undefined {
  if (replyCode(error) !== ACCESS_REFUSED) return undefined;
  return /exchange '([^']*)'/.exec(messageOf(error))?.[1];
}

/** What the broker said, out of amqplib's text around it. */
export function brokerText(error: unknown): string {
  const text = messageOf(error);
  return /with message "(.*)"/s.exec(text)?.[1] ?? text;
}

/** A close in answer to `connection.open`, which is about the vhost; amqplib drops the broker's code and text. */
function isRefusedOpen(error: unknown): boolean {
  return messageOf(error).startsWith('Expected ConnectionOpenOk; got <ConnectionClose');
}

function reason(error: unknown): string {
  // Node reports one error for each address of a name, and none of them in the text.
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(codeOf(error)))
    return 'the peer does not speak TLS: is this the port for rabbit://?';
  return messageOf(error);
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
