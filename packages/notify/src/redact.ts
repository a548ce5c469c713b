import type { Context } from '@posthorn/core';

/** The entries of a context that leave the process: oslo.messaging's list. Tokens and catalogues are not among them. */
export const SAFE_CONTEXT_KEYS: readonly string[] = [
  'user_id',
  'project_id',
  'domain_id',
  'user_domain_id',
  'project_domain_id',
  'is_admin',
  'request_id',
  'roles',
  'user_name',
  'project_name',
  'domain_name',
  'user_domain_name',
  'project_domain_name',
  'service_user_id',
  'service_user_domain_id',
  'service_user_domain_name',
  'service_project_id',
  'service_project_name',
  'service_project_domain_id',
  'service_project_domain_name',
  'service_roles',
  'global_request_id',
  'system_scope',
  'user',
  'domain',
  'user_domain',
  'project_domain',
];

/** The context with nothing but the allowed entries; what sounds like a secret inside of these is masked. */
export function allowedContext(context: Context, allowed: readonly string[]): Context {
  const entries = Object.entries(context).filter(([key]) => allowed.includes(key));
  return Object.fromEntries(entries.map(([key, value]) => [key, masked(value)]));
}

const WORDS =
  'pass(?!ed|ing|enger|ive)|pwd|secret|token|credential|authorization|bearer|cookie|jwt|session[-_]?id|' +
  '(?:api|private|access|encryption|signing|session|ssh)[-_]?key';
const SECRET = new RegExp(`${WORDS}|^(?:key|auth)$`, 'i');
const MASK = '***';
/** The password of a URL. */
const URL_PASSWORD = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:)[^\s/]*@/gi;
/** `password=…`, `"token": "…"`, `Authorization: Bearer …`. */
const ASSIGNED = new RegExp(
  `((?:${WORDS})[\\w-]*\\\\?["']?\\s*[:=]\\s*)(?:\\\\?"[^"]*"|'[^']*'|(?:bearer|basic|digest)\\s+\\S+|[^\\s,;&"'})\\]]+)`,
  'gi',
);

/** A copy in which secrets are masked, at any depth: the values of entries that sound like them, and parts of texts. */
export function masked(value: unknown): unknown {
  return maskedIn(value, new Set());
}

function maskedIn(value: unknown, above: Set<object>): unknown {
  if (typeof value === 'string') return maskedText(value);
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof Uint8Array) return value;
  if (above.has(value)) return '[circular]';
  above.add(value);
  const copy = maskedObject(value, above);
  above.delete(value);
  return copy;
}

function maskedObject(value: object, above: Set<object>): unknown {
  if ('toJSON' in value && typeof value.toJSON === 'function') return maskedIn(value.toJSON(), above);
  if (Array.isArray(value)) return value.map((item) => maskedIn(item, above));
  const entries = Object.entries(value);
  return Object.fromEntries(entries.map(([key, item]) => [key, SECRET.test(key) ? MASK : maskedIn(item, above)]));
}

function maskedText(text: string): string {
  return text.replace(URL_PASSWORD, `$1${MASK}@`).replace(ASSIGNED, `$1${MASK}`);
}
