import type { Channel, Found } from './amqplib.ts';
import { channelError, isPreconditionFailed } from './errors.ts';
import type { Link } from './link.ts';
import type { RabbitSettings } from './options.ts';
import type { ExchangeDeclaration, Intake, QueueDeclaration } from './topology.ts';

type Declare = RabbitSettings['declare'];

/**
 * Which exchanges are known to exist on one link, so that each is declared once. Declarations have a channel of their
 * own: a failing one closes its channel, and must not take anything else with it.
 */
export class ExchangeMemo {
  readonly #link: Link;
  readonly #declare: Declare;
  readonly #known = new Set<string>();
  readonly #asking = new Map<string, Promise<void>>();

  constructor(link: Link, declare: Declare) {
    this.#link = link;
    this.#declare = declare;
  }

  has({ name }: ExchangeDeclaration): boolean {
    return this.#declare === 'none' || this.#known.has(name);
  }

  ensure(exchange: ExchangeDeclaration): Promise<void> {
    if (this.has(exchange)) return Promise.resolve();
    const asked = this.#asking.get(exchange.name);
    if (asked !== undefined) return asked;
    const asking = withChannel(this.#link, (channel) =>
      declareExchange(this.#link, channel, exchange, this.#declare),
    ).then(() => void this.#known.add(exchange.name));
    this.#asking.set(exchange.name, asking);
    const done = (): boolean => this.#asking.delete(exchange.name);
    asking.then(done, done);
    return asking;
  }

  /** After a channel died because an exchange had gone. */
  clear(): void {
    this.#known.clear();
  }
}

/** Runs one task on a channel of its own. */
export async function withChannel<T>(link: Link, task: (channel: Channel) => Promise<T>): Promise<T> {
  let closed = false;
  const channel = await link.channel('plain', () => {
    closed = true;
  });
  try {
    return await task(channel);
  } finally {
    if (!closed) link.guard(channel.close(), 'closing a channel').catch(() => undefined);
  }
}

async function declareExchange(
  link: Link,
  channel: Channel,
  exchange: ExchangeDeclaration,
  declare: Declare,
): Promise<void> {
  const { name, type, durable, autoDelete } = exchange;
  const what = `exchange ${name}`;
  try {
    if (declare === 'check') await link.guard(channel.checkExchange(name), `checking ${what}`);
    else if (declare === 'create')
      await link.guard(channel.assertExchange(name, type, { durable, autoDelete }), `declaring ${what}`);
  } catch (error) {
    throw channelError(error, what);
  }
}

/**
 * Declares a queue with its exchanges and bindings on the given channel. Resolves with the number of its consumers, or
 * undefined where the broker was not asked.
 *
 * @throws with `isPreconditionFailed` when the queue has other attributes; the channel is dead then
 */
export async function declareIntake(
  link: Link,
  channel: Channel,
  { queue, bindings }: Intake,
  { declare, adopt }: { readonly declare: Declare; readonly adopt: boolean },
): Promise<number | undefined> {
  if (declare !== 'none') {
    for (const { exchange } of bindings) await declareExchange(link, channel, exchange, declare);
  }
  // A private queue is nobody else's affair: it is made in any case.
  const made = queue.exclusive || (declare === 'create' && !adopt);
  const found = made
    ? await assertQueue(link, channel, queue)
    : declare !== 'none'
      ? await link.guard(channel.checkQueue(queue.name), `checking queue ${queue.name}`)
      : undefined;
  if (declare === 'create' || queue.exclusive) await bind(link, channel, { queue, bindings });
  return found?.consumerCount;
}

export async function bind(link: Link, channel: Channel, { queue, bindings }: Intake): Promise<void> {
  for (const { exchange, key } of bindings)
    await link.guard(channel.bindQueue(queue.name, exchange.name, key), `binding queue ${queue.name}`);
}

/** What its only consumer leaves of a queue when it closes it. The channel that consumed is closed by then. */
export async function leaveQueue(link: Link, { queue, bindings }: Intake): Promise<void> {
  const { name, onClose } = queue;
  await withChannel(link, async (channel) => {
    if (onClose === 'unbind') return await unbind(link, channel, { queue, bindings });
    const unless = onClose === 'ifEmpty';
    await link.guard(channel.deleteQueue(name, { ifUnused: unless, ifEmpty: unless }), `deleting queue ${name}`);
  });
}

/**
 * A quorum queue cannot be deleted only if it is empty: RabbitMQ up to 4.3 closes the whole connection for the attempt,
 * and what a quorum queue says of its length lags behind. So it is unbound: what comes from now on is unroutable, what is
 * left waits for the next of that name, and the queue expires. A successor that consumes already keeps its bindings, and
 * one that comes later binds after it consumes.
 */
async function unbind(link: Link, channel: Channel, intake: Intake): Promise<void> {
  const { name } = intake.queue;
  const isUsed = async (): Promise<boolean> =>
    (await link.guard(channel.checkQueue(name), `checking queue ${name}`)).consumerCount > 0;
  if (await isUsed()) return;
  for (const { exchange, key } of intake.bindings)
    await link.guard(channel.unbindQueue(name, exchange.name, key), `unbinding queue ${name}`);
  if (await isUsed()) await bind(link, channel, intake);
}

/**
 * One at a time for each queue: RabbitMQ 3.10 answers a second declaration of a quorum queue while it still makes it for
 * the first, and closes the connection of who consumes from it then.
 */
export function assertQueue(link: Link, channel: Channel, queue: QueueDeclaration): Promise<Found> {
  const { name, durable, exclusive, autoDelete } = queue;
  return link.inTurn(name, () =>
    link.guard(
      channel.assertQueue(name, { durable, exclusive, autoDelete, arguments: queue.arguments }),
      `declaring queue ${name}`,
    ),
  );
}

/** Whether a failed declaration may be tried again with the queue as it is. */
export function isAdoptable(
  error: unknown,
  queue: QueueDeclaration,
  onMismatch: RabbitSettings['onMismatch'],
): boolean {
  return onMismatch === 'adopt' && !queue.exclusive && isPreconditionFailed(error);
}
