/**
 * Metering: nova, glance and a third party publish meters and know nothing of who wants them. Three workers share them, an
 * auditor sees them all, and a collector takes whatever comes, types that nobody told it of included. An intruder is
 * refused. Each has a connection of its own, as if it were a process of its own.
 *
 *   node metering-publishers.js [url]      default memory://metering-publishers
 */
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  connect,
  hmacSha256,
  nativeEnvelope,
  Publisher,
  type ReceivedMessage,
  type RefusalReason,
  type Signer,
  Subscriber,
  silent,
  type Transport,
} from 'posthorn';
import { type Audience, narrate } from './hop-printer.ts';
import { CeilometerRouter, Counter } from './meter.ts';
import { Milestones } from './milestones.ts';

/** Named after what the messages are about: two unrelated services publish here. */
export const METERING = 'metering-publishers.metering';
export const THIRD_PARTY = 'metering-publishers.third-party';
const EXCHANGES = [METERING, THIRD_PARTY];
const SECRETS = {
  'metering-1': 'known to nova and glance',
  'third-party-1': 'known to the third party',
};
const SIGNERS: Readonly<Record<string, Signer>> = {
  [METERING]: hmacSha256({ keys: SECRETS, signWith: 'metering-1' }),
  [THIRD_PARTY]: hmacSha256({ keys: SECRETS, signWith: 'third-party-1' }),
};
const PUBLISHERS = [
  ['nova', METERING],
  ['glance', METERING],
  ['third-party', THIRD_PARTY],
] as const;
const METERS_EACH = 100;
/** Of all publishers. */
export const METERS = METERS_EACH * PUBLISHERS.length;
/** What the intruder sends. */
export const FORGERIES = 4;

export interface MeteringOptions extends Audience {
  readonly url: string;
  /** Goes into the name of each resource that is metered. */
  readonly site?: string;
}

/** What came, by who received it: `workers`, `auditor` and `collector`. */
export interface Metered {
  readonly received: ReadonlyMap<string, readonly ReceivedMessage[]>;
  readonly refused: ReadonlyMap<string, readonly RefusalReason[]>;
}

/** Runs the whole story once. Resolves when everybody has left. */
export async function meterPublishers({ url, site = 'here', onEvent }: MeteringOptions): Promise<Metered> {
  const transports: Transport[] = [];
  const join = async (): Promise<Transport> => {
    const transport = await connect(url, { logger: silent });
    transports.push(transport);
    return transport;
  };
  const done = new Milestones();
  const receivers = new Receivers(done);
  try {
    for (const _ of [1, 2, 3]) await receivers.add(await join(), 'workers', { shared: true });
    await receivers.add(await join(), 'auditor', {});
    await receivers.add(await join(), 'collector', { shared: true, all: true });
    const names = [...receivers.received.keys()];
    const all = (what: string): Promise<unknown> => Promise.all(names.map((who) => done.wait(`${who} ${what}`)));

    const metered = all(`received ${METERS}`);
    const publishers = new Map<string, Publisher>();
    for (const [name, exchange] of PUBLISHERS) publishers.set(name, publisherAt(await join(), name, exchange));
    await Promise.all(
      [...publishers].map(async ([name, publisher]) => {
        const router = new CeilometerRouter(publisher);
        const resources = Array.from({ length: METERS_EACH }, (_, n) => `${site}/${name}-${n}`);
        await Promise.all(resources.map((resource) => router.sendMeterMessage(new Counter('uses', resource, 1))));
        onEvent(name, `published ${METERS_EACH} meters`);
      }),
    );
    await metered;
    for (const who of names) onEvent(who, `received ${METERS} meters`);

    const refused = all(`refused ${FORGERIES}`);
    const [genuine] = receivers.received.get('auditor') ?? [];
    await intrude(await join(), genuine);
    await refused;
    for (const [who, reasons] of receivers.refused) onEvent(who, `refused ${reasons.toSorted().join(', ')}`);

    const unknown = done.wait(`collector received ${METERS + 1}`);
    const plugIn = { messageType: 'image.size', version: '1.1', payload: { bytes: 4_096 } };
    await publishers.get('glance')?.publish(plugIn);
    await unknown;
    const { type, version } = receivers.received.get('collector')?.at(-1) ?? {};
    onEvent('collector', `received what nobody told it of: ${type} ${version}`);
    return receivers;
  } finally {
    for (const transport of transports.reverse()) await transport.close({ timeoutMs: 5_000 });
  }
}

function publisherAt(transport: Transport, name: string, exchange: string): Publisher {
  const signer = SIGNERS[exchange];
  return new Publisher(transport, { exchange, publisherId: name, ...(signer && { signer }) });
}

interface Interest {
  /** With all of the same name. */
  readonly shared?: boolean;
  /** Not only meters, but whatever comes. */
  readonly all?: boolean;
}

/** Notes who received and refused what. */
class Receivers implements Metered {
  readonly received = new Map<string, ReceivedMessage[]>();
  readonly refused = new Map<string, RefusalReason[]>();
  readonly #done: Milestones;

  constructor(done: Milestones) {
    this.#done = done;
  }

  async add(transport: Transport, who: string, { shared, all }: Interest): Promise<void> {
    const received = this.received.get(who) ?? [];
    this.received.set(who, received);
    const refused = this.refused.get(who) ?? [];
    this.refused.set(who, refused);
    const receive = (_: unknown, message: ReceivedMessage): void => {
      received.push(message);
      this.#done.count(`${who} received`);
    };
    const subscriber = new Subscriber(transport, {
      exchange: EXCHANGES,
      keys: ['metering'],
      // On a broker that others use, too: names of our own, which go when nobody uses them any more.
      ...(shared && { group: `metering-publishers.${who}`, retention: { expiresMs: 60_000 } }),
      verify: { verifier: hmacSha256({ keys: SECRETS }) },
      onRefused: ({ reason }) => {
        refused.push(reason);
        this.#done.count(`${who} refused`);
      },
    });
    subscriber.on(Counter, receive);
    if (all) subscriber.bind('#', receive);
    await subscriber.start();
  }
}

/** Publishes what bears a wrong key, was meant for another exchange, was changed, and is not signed. */
async function intrude(transport: Transport, genuine: ReceivedMessage | undefined): Promise<void> {
  if (genuine === undefined) throw new Error('there is nothing to forge');
  const { envelope, exchange, key } = genuine;
  const unsigned = new Publisher(transport, { exchange, publisherId: 'intruder' });
  const signer = hmacSha256({ keys: { 'metering-1': 'guessed by the intruder' }, signWith: 'metering-1' });
  const guessed = new Publisher(transport, { exchange, publisherId: 'intruder', signer });
  for (const publisher of [guessed, unsigned])
    await new CeilometerRouter(publisher).sendMeterMessage(new Counter('uses', 'forged', 1_000));
  const copy = (to: string, of: typeof envelope): Promise<void> =>
    transport.send({ kind: 'topic', exchange: to, key }, nativeEnvelope.encode(of), { confirm: true });
  const other = EXCHANGES.find((one) => one !== exchange) ?? '';
  await copy(other, envelope);
  await copy(exchange, { ...envelope, payload: new Counter('uses', 'forged', 1_000).toJSON() });
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const url = argv[2] ?? 'memory://metering-publishers';
  await narrate('Metering', async (audience, onUrl) => {
    onUrl(url);
    await meterPublishers({ url, ...audience });
  });
}
