import { parseTransportUrl } from '@posthorn/core';
import type { Amqp1Place } from './amqp1-harness.ts';
import type { Skip } from './found.ts';
import { track } from './leftovers.ts';
import { mayHaveDocker } from './rabbit-in-docker.ts';

/** A broker of another make that speaks AMQP 1.0. */
export interface OtherBroker {
  readonly name: string;
  /** The environment variable with its `amqp1://` URL. */
  readonly variable: string;
  /** Started where there is no URL and a container engine. A router has no image that is known to work. */
  readonly image?: {
    readonly name: string;
    readonly environment: Readonly<Record<string, string>>;
    readonly log: RegExp;
  };
}

export const OTHER_BROKERS: readonly OtherBroker[] = [
  {
    name: 'ActiveMQ Artemis',
    variable: 'POSTHORN_ARTEMIS_URL',
    image: {
      name: 'apache/activemq-artemis:2.40.0-alpine',
      environment: { ARTEMIS_USER: 'guest', ARTEMIS_PASSWORD: 'guest' },
      log: /Server is now (active|live)/,
    },
  },
  {
    name: 'ActiveMQ',
    variable: 'POSTHORN_ACTIVEMQ_URL',
    image: {
      name: 'apache/activemq-classic:6.1.6',
      environment: { ACTIVEMQ_CONNECTION_USER: 'guest', ACTIVEMQ_CONNECTION_PASSWORD: 'guest' },
      log: /Connector amqp started/,
    },
  },
  { name: 'an AMQP 1.0 router', variable: 'POSTHORN_ROUTER_URL' },
];

const START_TIMEOUT_MS = 120_000;

/** Why there can be none here, as far as can be told without trying. */
export function missingFor({ variable, image }: OtherBroker): string | undefined {
  if (process.env[variable]) return undefined;
  const unset = `${variable} is not set`;
  if (image === undefined) return unset;
  return mayHaveDocker() ? undefined : `${unset}; there is no Docker`;
}

/** By URL in the environment, else in a container, else the reason to skip. */
export async function findOther(broker: OtherBroker): Promise<Amqp1Place | Skip> {
  const { variable, image } = broker;
  const given = process.env[variable];
  if (given) return placeAt(given);
  const missing = missingFor(broker);
  if (missing !== undefined || image === undefined) return { skip: missing ?? '' };
  try {
    const { GenericContainer, Wait } = await import('testcontainers');
    const container = await new GenericContainer(image.name)
      .withExposedPorts(5672)
      .withEnvironment(image.environment)
      .withWaitStrategy(Wait.forLogMessage(image.log))
      .withStartupTimeout(START_TIMEOUT_MS)
      .start();
    // When this process ends suddenly, the reaper of testcontainers takes the container.
    track({ stop: async () => void (await container.stop()), kill: () => {} });
    return placeAt(`amqp1://guest:guest@${container.getHost()}:${container.getMappedPort(5672)}`);
  } catch (error) {
    return { skip: `${variable} is not set; Docker: ${error instanceof Error ? error.message : String(error)}` };
  }
}

function placeAt(given: string): Amqp1Place {
  const [{ host = 'localhost', port = 5672 } = {}] = parseTransportUrl(given).hosts;
  return {
    host,
    port,
    url: (parts) => {
      const url = new URL(given);
      if (parts !== undefined) [url.hostname, url.port] = ['127.0.0.1', String(parts.port)];
      return url.href;
    },
    never: ['restart', 'block'],
    [Symbol.asyncDispose]: async () => undefined,
  };
}
