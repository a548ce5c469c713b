import { type Context, silent, type Transport, type Wire } from '@posthorn/core';
import { type Notification, NotificationListener, Notifier } from '@posthorn/notify';
import { oslo } from '@posthorn/oslo';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { osloAmqp1Candidates } from '../src/oslo-amqp1-place.ts';
import { flags, type OsloOptions } from '../src/oslo-peers.ts';
import { openOsloPlace } from '../src/oslo-place.ts';
import { places } from '../src/places.ts';
import { spawnPython } from '../src/python.ts';
import { findRabbit } from '../src/rabbit-broker.ts';
import { RoleTracing } from '../src/role-tracing.ts';
import { partNames, startPart } from '../src/scenarios/boot-an-instance.ts';
import { Milestones } from '../src/scenarios/milestones.ts';
import { waitFor } from '../src/wait-for.ts';

const CALLS = 'boot-an-instance.nova';
const METERS = 'boot-an-instance.metering';

/** Who does what, and as part of what. Of the servers of a topic, whichever did it. */
const BOOT = [
  'api: boot',
  ...reached('api', 'call', 'conductor', 'conductor', 'api: boot'),
  ...reached('api', 'cast', 'conductor', 'conductor', 'api: boot'),
  ...reached('conductor', 'call', 'scheduler', 'scheduler', `conductor: serve ${CALLS}:conductor`),
  ...reached('conductor', 'cast', 'compute', 'host2', `conductor: serve ${CALLS}:conductor`),
  ...Array.from({ length: 5 }, () => [
    `host2: notify ${CALLS}:notifications ← host2: serve ${CALLS}:compute`,
    `collector: listen ${CALLS}:notifications ← host2: notify ${CALLS}:notifications`,
    `dashboard: listen ${CALLS}:notifications ← host2: notify ${CALLS}:notifications`,
  ]).flat(),
  `collector: publish ${METERS}:metering ← collector: listen ${CALLS}:notifications`,
  `billing: subscribe ${METERS}:metering ← collector: publish ${METERS}:metering`,
  ...reached('api', 'call', 'compute', 'host2', 'api: boot'),
  `api: fanout ${CALLS}:compute ← api: boot`,
  ...['host1', 'host2'].map((host) => `${host}: serve ${CALLS}:compute ← api: fanout ${CALLS}:compute`),
];

interface Mixed extends AsyncDisposable {
  readonly url: string;
  readonly exchange: string;
  readonly wire: Wire;
  readonly python: OsloOptions;
}

/** Where Node and Python meet, over each protocol. */
const MIXED: readonly { readonly name: string; open(context: Mocha.Context): Promise<Mixed> }[] = [
  {
    name: 'RabbitMQ',
    async open(context) {
      const { vhost, url, exchange } = await openOsloPlace(context, 'RabbitMQ', { name: 'RabbitMQ', find: findRabbit });
      const dispose = async (): Promise<void> => await vhost[Symbol.asyncDispose]();
      return { url, exchange, wire: oslo({ exchange }), python: { url, exchange }, [Symbol.asyncDispose]: dispose };
    },
  },
  ...osloAmqp1Candidates
    .filter(({ multicast }) => multicast)
    .map(({ name, open }) => ({
      name,
      async open(context: Mocha.Context) {
        const place = await open(context);
        const dispose = async (): Promise<void> => await place[Symbol.asyncDispose]();
        return { ...place, wire: place.wire(), [Symbol.asyncDispose]: dispose };
      },
    })),
];

function reached(client: string, how: string, topic: string, server: string, within: string): readonly string[] {
  const sent = `${client}: ${how} ${CALLS}:${topic}`;
  return [`${sent} ← ${within}`, `${server}: serve ${CALLS}:${topic} ← ${sent}`];
}

describe('telemetry', function () {
  this.timeout(60_000);

  for (const { name, open } of places())
    it(`E2: over ${name} a boot is one trace, from the API to the collectors and the billing`, async function () {
      await using place = await open(this);
      using tracing = new RoleTracing();
      const transports: Transport[] = [];
      const done = new Milestones();
      const options = { url: place.url, onHop: () => {}, onEvent: () => {} };
      const play = (part: string): Promise<void> =>
        startPart(part, options, done, (transport) => {
          tracing.watch(part.replace(/^(collector|conductor)-\d$/, '$1'), transport);
          transports.push(transport);
        });
      try {
        for (const part of partNames.slice(0, -1)) await play(part);
        await tracing.during('api', 'boot', () => play('api'));
      } finally {
        for (const transport of transports.toReversed()) await transport.close({ timeoutMs: 5_000 });
      }
      // The api asks whether the conductor is there until it is told.
      const asked = new Set(reached('api', 'call', 'conductor', 'conductor', 'api: boot'));
      const lines = tracing.lines.filter((line, index, all) => !asked.has(line) || all.indexOf(line) === index);
      expect(lines).to.deep.equal(BOOT.toSorted());
      expect(tracing.traceIds).to.have.length(1);
      const system = name.startsWith('RabbitMQ') ? 'rabbitmq' : name.split(' ')[0];
      expect(tracing.values('messaging.system')).to.deep.equal([system]);
    });

  for (const { name, open } of MIXED)
    it(`E2: with a conductor in Python over ${name}, which passes on its context, a boot is one trace`, async function () {
      await using place = await open(this);
      const { exchange } = place;
      using tracing = new RoleTracing();
      const transports: Transport[] = [];
      const join = async (role: string): Promise<Transport> => {
        const transport = await connect(place.url, { wire: place.wire, logger: silent });
        transports.push(transport);
        tracing.watch(role, transport);
        return transport;
      };
      const serve = async (topic: string, server: string, methods: (on: Transport) => object): Promise<void> => {
        const transport = await join(server);
        await new RPCServer(transport, { target: { topic, server }, endpoints: [methods(transport)] }).start();
      };
      const heard: string[] = [];
      try {
        await serve('scheduler', 'scheduler', () => ({ select_destinations: () => 'host2' }));
        await serve('compute', 'host2', (transport) => {
          const notifier = new Notifier(transport, { publisherId: 'compute.host2' });
          return { build_and_run_instance: (context: Context) => notifier.info(context, 'instance.running', {}) };
        });
        const endpoints = [{ info: ({ eventType }: Notification) => void heard.push(eventType) }];
        await new NotificationListener(await join('collector'), {
          targets: [{ topic: 'notifications' }],
          endpoints,
        }).start();
        await using python = await spawnPython('conductor.py', [place.python.url, ...flags(place.python)]);
        await python.line(/"event": "ready"/, 20_000);
        const conductor = new RPCClient(await join('api'), { target: { topic: 'conductor' }, timeoutMs: 10_000 });
        const build = (): Promise<unknown> => conductor.call({ user: 'alice' }, 'build_instances', { instance: 'i-1' });
        expect(await tracing.during('api', 'boot', build)).to.equal('host2');
        await waitFor('both events', () => heard.length === 2);
      } finally {
        for (const transport of transports.toReversed()) await transport.close({ timeoutMs: 5_000 });
      }
      const called = `api: call ${exchange}:conductor`;
      expect(tracing.lines).to.deep.equal(
        [
          'api: boot',
          `${called} ← api: boot`,
          // Python has no spans of its own: what it sends is part of what it was called with.
          `scheduler: serve ${exchange}:scheduler ← ${called}`,
          `collector: listen ${exchange}:notifications ← ${called}`,
          `host2: serve ${exchange}:compute ← ${called}`,
          `host2: notify ${exchange}:notifications ← host2: serve ${exchange}:compute`,
          `collector: listen ${exchange}:notifications ← host2: notify ${exchange}:notifications`,
        ].toSorted(),
      );
      expect(tracing.traceIds).to.have.length(1);
    });
});
