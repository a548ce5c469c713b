import { type Broker, serveBroker } from '@posthorn/amqp1';
import { newId } from '@posthorn/core';
import { oslo, type OsloOptions as WireOptions } from '@posthorn/oslo';
import type { Context } from 'mocha';
import { isSkip } from './found.ts';
import type { OsloOptions } from './oslo-peers.ts';
import { findProtonBroker } from './proton-broker.ts';
import { findPythonAmqp1 } from './python-amqp1.ts';
import { skip } from './skip.ts';

type Addressing = NonNullable<WireOptions['addressing']>;

/** Where Node and Python meet over AMQP 1.0, and names that nobody else uses. */
export interface OsloAmqp1Place extends AsyncDisposable {
  /** For Node. */
  readonly url: string;
  /** For Python peers, which must have the same addresses. */
  readonly python: OsloOptions;
  readonly exchange: string;
  readonly topic: string;
  wire(options?: WireOptions): ReturnType<typeof oslo>;
}

export interface OsloAmqp1Candidate {
  readonly name: string;
  readonly addressing: Addressing;
  /** Whether a fanout reaches every server there. */
  readonly multicast: boolean;
  /** A fresh place, or a skip where there is no broker or no Python. */
  open(context: Context): Promise<OsloAmqp1Place>;
}

/** Both brokers, with the addresses that their product stands for and with the others. The vhost is part of addresses. */
export const osloAmqp1Candidates: readonly OsloAmqp1Candidate[] = [
  onPosthorn('dynamic'),
  onPosthorn('legacy', 'v1'),
  onProton('dynamic'),
  onProton('routable'),
];

function onPosthorn(addressing: Addressing, vhost = ''): OsloAmqp1Candidate {
  return {
    name: `posthorn broker, ${addressing} addresses`,
    addressing,
    multicast: true,
    async open(context) {
      await pythonFor(context);
      const broker: Broker = await serveBroker({ port: 0 });
      return placeAt(`127.0.0.1:${broker.port}/${vhost}`, addressing, () => broker.close());
    },
  };
}

function onProton(addressing: Addressing): OsloAmqp1Candidate {
  return {
    name: `Proton's example broker, ${addressing} addresses`,
    addressing,
    multicast: false,
    async open(context) {
      await pythonFor(context);
      const broker = await findProtonBroker();
      if (isSkip(broker)) return skip(context, "Proton's example broker", broker.skip);
      return placeAt(`${broker.host}:${broker.port}/`, addressing, async () => undefined);
    },
  };
}

async function pythonFor(context: Context): Promise<void> {
  context.timeout(180_000);
  const python = await findPythonAmqp1();
  if (isSkip(python)) skip(context, "oslo.messaging's AMQP 1.0 driver", python.skip);
}

function placeAt(place: string, addressing: Addressing, dispose: () => Promise<void>): OsloAmqp1Place {
  const id = newId();
  const exchange = `x-${id}`;
  return {
    url: `amqp1://${place}`,
    python: { url: `amqp://${place}`, exchange, options: { 'oslo_messaging_amqp.addressing_mode': addressing } },
    exchange,
    topic: `t-${id}`,
    wire: (options) => oslo({ exchange, addressing, ...options }),
    [Symbol.asyncDispose]: dispose,
  };
}
