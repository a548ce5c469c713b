import { type Broker, serveBroker } from '@posthorn/amqp1';
import { newId, type Transport } from '@posthorn/core';
import type { Context } from 'mocha';
import { type ConnectOptions, connect } from 'posthorn';
import { isSkip, type RabbitCandidate, rabbitVersions } from './rabbit-broker.ts';
import { skip } from './skip.ts';

/** A transport that the suite of a pattern runs over. */
export interface TransportUnderTest {
  readonly name: string;
  /** For a `before` hook: finds the broker, or skips the suite where this machine can have none. */
  ready(context: Context): Promise<void>;
  /** One more connection to the same broker. */
  connect(options?: ConnectOptions): Promise<Transport>;
}

/** Every transport that a pattern suite runs over. To be called where hooks can be registered. */
export function transports(): TransportUnderTest[] {
  const versions = rabbitVersions();
  // RabbitMQ 3 has AMQP 1.0 by a plugin, which can do too little for the patterns.
  const native = versions.filter(({ name }) => name.startsWith('RabbitMQ 4'));
  return [overMemory(), overBroker(), ...versions.map((one) => overRabbit(one)), ...native.map(overAmqp1)];
}

function overAmqp1(candidate: RabbitCandidate): TransportUnderTest {
  return { ...overRabbit(candidate, (url) => url.replace(/^rabbit/, 'amqp1')), name: `${candidate.name} by AMQP 1.0` };
}

function overMemory(): TransportUnderTest {
  // The broker of this name lives as long as a transport uses it, so each test that closes its own finds a new one.
  const url = `memory://${newId()}`;
  return { name: 'memory', ready: async () => undefined, connect: (options) => connect(url, options) };
}

function overBroker(): TransportUnderTest {
  let broker: Promise<Broker> | undefined;
  const serve = (): Promise<Broker> => {
    broker ??= serveBroker({ port: 0 });
    return broker;
  };
  after(async () => {
    await (await broker)?.close();
  });
  return {
    name: 'posthorn broker',
    ready: async () => void (await serve()),
    connect: async (options) => connect((await serve()).url, options),
  };
}

function overRabbit({ name, find }: RabbitCandidate, urlOf = (url: string): string => url): TransportUnderTest {
  return {
    name,
    async ready(context) {
      context.timeout(180_000);
      const broker = await find();
      if (isSkip(broker)) skip(context, name, broker.skip);
    },
    async connect(options) {
      const broker = await find();
      if (isSkip(broker)) throw new Error(`no ${name}: ${broker.skip}`);
      return await connect(urlOf(broker.url), options);
    },
  };
}
