import type { Delivery, Driver, DriverContext, Message, Source, SubscribeOptions, Subscription } from '../src/index.ts';
import { memory, silent } from '../src/index.ts';

export function context(overrides: Partial<DriverContext> = {}): DriverContext {
  return { logger: silent, onStatus: () => {}, onReturned: () => {}, onLost: () => {}, ...overrides };
}

/** A driver on the memory broker of that name, or on one of its own. */
export function memoryDriver(name?: string): Promise<Driver> {
  return memory(context(), name === undefined ? {} : { name });
}

export const text = (body: string, more: Partial<Message> = {}): Message => ({ body: Buffer.from(body), ...more });

export const bodyOf = ({ message }: Delivery): string => Buffer.from(message.body).toString();

/** A subscriber that keeps its deliveries, unsettled unless told otherwise. */
export class Reader {
  readonly deliveries: Delivery[] = [];
  readonly subscription: Subscription;

  private constructor(subscription: Subscription, deliveries: Delivery[]) {
    this.subscription = subscription;
    this.deliveries = deliveries;
  }

  static async open(
    driver: Driver,
    from: Source | readonly Source[],
    { accept = false, ...options }: SubscribeOptions & { readonly accept?: boolean } = {},
  ): Promise<Reader> {
    const deliveries: Delivery[] = [];
    const receive = (delivery: Delivery): void => {
      deliveries.push(delivery);
      if (accept) void delivery.settle('accept');
    };
    const sources: readonly Source[] = 'kind' in from ? [from] : from;
    return new Reader(await driver.subscribe(sources, receive, options), deliveries);
  }

  get bodies(): string[] {
    return this.deliveries.map(bodyOf);
  }
}

/** Lets everything that a memory broker has in hand happen. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** The error that the promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  const [result] = await Promise.allSettled([promise]);
  if (result.status === 'fulfilled') throw new Error('resolved instead of rejecting', { cause: result.value });
  if (result.reason instanceof Error) return result.reason;
  throw new Error('rejected with something that is no Error', { cause: result.reason });
}

/** The error that the function throws. */
export function thrownBy(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) return error;
    throw new Error('threw something that is no Error', { cause: error });
  }
  throw new Error('threw nothing');
}
