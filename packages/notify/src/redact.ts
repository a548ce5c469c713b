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

/** The context with nothing but the allowed entries. */
export function allowedContext(context: Context, allowed: readonly string[]): Context {
  return Object.fromEntries(Object.entries(context).filter(([key]) => allowed.includes(key)));
}

const SECRET =
  /pass(?!ed|ing|enger|ive)|secret|token|credential|authorization|api[-_]?key|private[-_]?key|access[-_]?key|^key$/i;
const MASK = '***';

/** A copy in which the values of entries that sound like secrets are masked, at any depth. */
export function masked(value: unknown): unknown {
  return maskedIn(value, new Set());
}

function maskedIn(value: unknown, above: Set<object>): unknown {
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  if (above.has(value)) return '[circular]';
  above.add(value);
  const copy = Array.isArray(value)
    ? value.map((item) => maskedIn(item, above))
    : Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, SECRET.test(key) ? MASK : maskedIn(item, above)]),
      );
  above.delete(value);
  return copy;
}
