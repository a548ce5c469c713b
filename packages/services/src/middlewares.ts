import { ServiceError } from './errors.ts';
import { Answer, type ServiceMessage } from './messages.ts';
import type { RegisteredService } from './registry.ts';

/** What the handler gets, or what is answered instead. */
export async function entering<M extends ServiceMessage>(
  { name, options }: RegisteredService,
  message: M,
): Promise<M | Answer> {
  let current = message;
  for (const middleware of options.incoming ?? []) {
    const next = await middleware(current);
    if (next instanceof Answer) return next;
    if (!isLike(next, message))
      throw new ServiceError(
        'IncorrectMessage',
        `an incoming middleware of ${name} returned neither the ${message.type} nor an answer`,
      );
    current = next;
  }
  return current;
}

/** What is sent. */
export async function leaving({ name, options }: RegisteredService, message: ServiceMessage): Promise<ServiceMessage> {
  let current = message;
  for (const middleware of options.outgoing ?? []) {
    const next = await middleware(current);
    if (!isLike(next, message))
      throw new ServiceError('IncorrectMessage', `an outgoing middleware of ${name} returned no ${message.type}`);
    current = next;
  }
  return current;
}

function isLike<M extends ServiceMessage>(value: unknown, message: M): value is M {
  return typeof value === 'object' && value !== null && 'type' in value && value.type === message.type;
}
