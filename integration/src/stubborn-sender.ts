import { type Address, MessagingError, newId, type SendOptions, type Transport } from '@posthorn/core';

/** Worth another try, and never written by the attempt that failed. */
const NOT_WRITTEN: ReadonlySet<string> = new Set(['CONNECTION', 'TIMEOUT']);
/** Worth another try, though the message may be there: a broker also refuses what a queue got whose node then went down. */
const PERHAPS_WRITTEN: ReadonlySet<string> = new Set(['UNKNOWN', 'NOT_DELIVERED']);
const IN_FLIGHT = 64;

/** A message that its sender has a confirmation for. */
export interface Confirmed {
  readonly id: string;
  /** How often its outcome was unknown, and it was sent again. */
  readonly unknown: number;
}

/** Sends one message, again and again under the same id, until the broker confirms it. */
export async function sendUntilConfirmed(
  transport: Transport,
  to: Address,
  options: SendOptions = {},
): Promise<Confirmed> {
  const id = newId();
  for (let unknown = 0; ; ) {
    try {
      await transport.send(
        to,
        { body: Buffer.from(id), messageId: id },
        { confirm: true, persistent: true, unrouted: 'keep', timeoutMs: 5_000, ...options },
      );
      return { id, unknown };
    } catch (error) {
      if (!(error instanceof MessagingError)) throw error;
      if (PERHAPS_WRITTEN.has(error.code)) unknown++;
      else if (!NOT_WRITTEN.has(error.code)) throw error;
      // However fast attempts fail, the events that end the trouble get their turn.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

/** Sends so many, some at a time, and further ones while `goesOn`. `onConfirmed` is told how many are confirmed, at each. */
export async function sendAllUntilConfirmed(
  transport: Transport,
  to: Address,
  count: number,
  onConfirmed: (confirmed: number) => void = () => {},
  goesOn: () => boolean = () => false,
): Promise<Confirmed[]> {
  const confirmed: Confirmed[] = [];
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0 || goesOn()) {
      confirmed.push(await sendUntilConfirmed(transport, to));
      onConfirmed(confirmed.length);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return confirmed;
}
