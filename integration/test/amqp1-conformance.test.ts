import { describeDriver } from '@posthorn/conformance';
import { type Amqp1Place, amqp1Harness, amqp1Url } from '../src/amqp1-harness.ts';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { findOther, missingFor, OTHER_BROKERS } from '../src/other-brokers.ts';
import { findProtonBroker } from '../src/proton-broker.ts';
import { isSkip, type RabbitCandidate, rabbitVersions, type Skip } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';
import { openVhost } from '../src/vhost.ts';

/** Attributes of queues, which cannot be asked for everywhere: they are refused. */
const RETENTION = [
  'forgets the oldest beyond the length that was asked for',
  'heals when its queue has gone',
  'gives what was rejected to the group that was named for it, and nothing else',
] as const;

/** The Proton example broker gives nothing back: what was taken from it is gone. */
const REDELIVERY = [
  'gives back what is unsettled to the next consumer of that name',
  'delivers what was released again, marked as redelivered',
  'delivers what was released with all its properties',
  'may deliver what was released to another consumer',
  'puts what was released back, at whatever place',
  'gives a message back as often as it is released',
  'resolves a hundred releases, and delivers each message again',
  'lets the first settlement count: release, then accept',
  'cannot settle once the subscription was closed, says so, and counts it',
  'cannot settle once the driver was closed, and says so',
  'tells no delivery count, where the broker does not count',
  'has room again after a release',
  'lets held deliveries be settled once stopped',
  'gives back what is unsettled when it closes, in whatever order',
  'delivers nothing more once closed',
  'delivers again what was unsettled, settles it there alone, and counts who tries elsewhere',
  'does nothing with a settlement from before the loss',
  'keeps to the prefetch after a loss',
] as const;

/** It also deals messages out to consumers that have no credit, one after the other. */
const DEALING = [
  'hands out no more than the prefetch of each consumer',
  'hands out 64 by default',
  'keeps a slow consumer from holding up a quick one',
  'leaves the work to others while paused',
  'ends in the last of several pauses and resumes',
  'takes nothing more once stopped, also after a resume',
  'keeps a paused subscription paused',
  'has one consumer per subscription after five losses',
] as const;

for (const candidate of rabbitVersions()) {
  for (const durability of candidate.name === 'RabbitMQ' ? (['durable'] as const) : (['durable', 'quorum'] as const)) {
    describe(`the conformance of ${candidate.name} over AMQP 1.0, ${durability}`, () => {
      const find = () => amqp1OnRabbit(candidate);
      describeDriver('the AMQP 1.0 driver', amqp1Harness(candidate.name, find, { durability }));
    });
  }
}

async function amqp1OnRabbit(candidate: RabbitCandidate): Promise<Amqp1Place | Skip> {
  const broker = await candidate.find();
  if (isSkip(broker)) return broker;
  const vhost = await openVhost(broker);
  const { version, restart, ctl } = broker;
  const controlled = ctl && { ctl: (...args: readonly string[]) => ctl.call(broker, ...args) };
  return {
    host: vhost.host,
    port: vhost.port,
    url: (parts) => amqp1Url(vhost, parts),
    ...(restart && { restart: () => restart.call(broker) }),
    ...(controlled && { block: async () => (await raiseMemoryAlarm(controlled)).clear }),
    // The plugin of RabbitMQ 3 goes on reading through a memory alarm.
    ...(version.startsWith('3.') && { never: ['block'], knownGaps: RETENTION }),
    [Symbol.asyncDispose]: () => vhost[Symbol.asyncDispose](),
  };
}

describe('the conformance of the Proton example broker', () => {
  const find = async (): Promise<Amqp1Place | Skip> => {
    const broker = await findProtonBroker();
    if (isSkip(broker)) return broker;
    return {
      ...broker,
      url: ({ port } = broker) => `amqp1://${broker.host}:${port}`,
      // It keeps nothing, so that there is nothing to restart with; and it takes whatever comes.
      never: ['restart', 'block'],
      knownGaps: [...RETENTION, ...REDELIVERY, ...DEALING],
      [Symbol.asyncDispose]: async () => undefined,
    };
  };
  describeDriver('the AMQP 1.0 driver', amqp1Harness('the Proton example broker', find, { clockToleranceMs: 0 }));
});

for (const broker of OTHER_BROKERS) {
  describe(`the conformance of ${broker.name}`, () => {
    const missing = missingFor(broker);
    if (missing === undefined) {
      describeDriver(
        'the AMQP 1.0 driver',
        amqp1Harness(broker.name, () => findOther(broker)),
      );
      return;
    }
    // One skip, and not one for each case.
    it('is proven by the suite', function () {
      skip(this, broker.name, missing);
    });
  });
}
