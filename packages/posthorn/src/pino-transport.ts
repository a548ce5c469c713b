import { silent } from '@posthorn/core';
import { masked, Notifier, type Priority } from '@posthorn/notify';
import build from 'pino-abstract-transport';
import { connect } from './connect.ts';

export interface PinoTransportOptions {
  readonly url: string;
  readonly publisherId: string;
  readonly topics?: readonly string[];
  readonly exchange?: string;
}

/** Records handed to the broker and not confirmed, at most. */
const ON_THE_WAY = 1_000;

/**
 * Turns log records into notifications of the type `logrecord`, secrets masked:
 *
 * ```ts
 * pino({ transport: { target: 'posthorn/pino-transport', options: { url: 'rabbit://…', publisherId: 'compute.host1' } } });
 * ```
 *
 * pino runs it in a thread of its own, where it has a connection of its own. What cannot be sent is forgotten: logging must not
 * fail, and must not log about itself.
 */
export default async function pinoTransport({
  url,
  ...options
}: PinoTransportOptions): Promise<ReturnType<typeof build>> {
  const transport = await connect(url, { logger: silent });
  const notifier = new Notifier(transport, options);
  const onTheWay = new Set<Promise<void>>();
  const tell = (record: Readonly<Record<string, unknown>>): void => {
    const telling = notifier
      .notify(priorityOf(record['level']), {}, 'logrecord', masked(record))
      .catch(() => undefined)
      .finally(() => onTheWay.delete(telling));
    onTheWay.add(telling);
  };
  return build(
    async (records) => {
      for await (const record of records) {
        // A broker that is there is waited for. With one that is not, the log would pile up in memory.
        while (onTheWay.size >= ON_THE_WAY && transport.status.state === 'connected') await Promise.race(onTheWay);
        if (onTheWay.size < ON_THE_WAY) tell(record);
      }
    },
    { close: () => transport.close({ timeoutMs: 5_000 }).then(() => undefined) },
  );
}

/** pino's levels: 10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal. */
function priorityOf(level: unknown): Priority {
  const value = typeof level === 'number' ? level : 30;
  if (value < 30) return 'debug';
  if (value < 40) return 'info';
  if (value < 50) return 'warn';
  return value < 60 ? 'error' : 'critical';
}
