import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { StartedTestContainer } from 'testcontainers';
import { type Certificates, makeCertificates } from './certificates.ts';
import type { Skip } from './found.ts';
import { freePorts } from './free-port.ts';
import { track } from './leftovers.ts';
import { ManagementApi } from './management.ts';
import { type RabbitAddress, type RabbitBroker, rabbitTls, rabbitUrl } from './rabbit.ts';
import { FRESH_STATISTICS, tlsListener } from './rabbit-node.ts';
import { probeRabbit } from './rabbit-probe.ts';
import { makeTempFolder } from './temp-folder.ts';
import { waitFor } from './wait-for.ts';

const IMAGE = 'rabbitmq:4.2-management-alpine';
const START_TIMEOUT_MS = 60_000;
const TLS_FOLDER = '/etc/rabbitmq/posthorn';

/** Starts RabbitMQ in a container; without a container engine says so within a few milliseconds. */
export async function startRabbitInDocker(): Promise<RabbitBroker | Skip> {
  if (!mayHaveDocker()) return { skip: 'there is no Docker' };
  try {
    const { getContainerRuntimeClient } = await import('testcontainers');
    const client = await getContainerRuntimeClient(); // rejects at once when no engine answers
    const { container, address, ports, certificates } = await startContainer();
    // testcontainers' own handle cannot kill, and forgets the container when it stops it.
    const handle = client.container.getById(container.getId());
    // When this process ends suddenly, the reaper of testcontainers takes the container.
    track({ stop: async () => void (await container.stop()), kill: () => {} });
    const start = async (): Promise<void> => {
      await handle.start();
      await answers(address);
    };
    const version = await answers(address);
    return {
      ...address,
      version,
      url: rabbitUrl(address),
      tls: rabbitTls(ports.amqps, certificates),
      api: new ManagementApi(`http://guest:guest@${address.host}:${ports.http}/api`),
      start,
      stop: async () => void (await handle.stop()),
      kill9: async () => void (await handle.kill()),
      restart: async () => {
        await handle.stop();
        await start();
      },
    };
  } catch (error) {
    return { skip: `Docker: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Loading testcontainers takes 0.3 s; where none of the places is there that it would look at, that is spared. */
export function mayHaveDocker(): boolean {
  if (process.platform === 'win32' || process.env['DOCKER_HOST']) return true;
  const home = homedir();
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`;
  return [
    '/var/run/docker.sock',
    join(runtime, 'docker.sock'),
    join(home, '.docker', 'run', 'docker.sock'),
    join(home, '.docker', 'desktop', 'docker.sock'),
    join(home, '.testcontainers.properties'),
  ].some((path) => existsSync(path));
}

interface Started {
  readonly container: StartedTestContainer;
  readonly address: RabbitAddress;
  readonly ports: { readonly amqps: number; readonly http: number };
  readonly certificates: Certificates;
}

async function startContainer(): Promise<Started> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const certificates = await makeCertificates(makeTempFolder('docker'));
  // Fixed ports: those that Docker chooses change with each start, and tests restart the broker under a living client.
  const [amqp = 0, amqps = 0, http = 0] = await freePorts(3);
  const files = {
    'ca.pem': certificates.ca,
    'server.pem': certificates.server.cert,
    'server-key.pem': certificates.server.key,
  };
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts(
      { container: 5672, host: amqp },
      { container: 5671, host: amqps },
      { container: 15672, host: http },
    )
    .withEnvironment({ RABBITMQ_DEFAULT_USER: 'guest', RABBITMQ_DEFAULT_PASS: 'guest' })
    .withCopyFilesToContainer(
      Object.entries(files).map(([name, source]) => ({ source, target: `${TLS_FOLDER}/${name}`, mode: 0o644 })),
    )
    .withCopyContentToContainer([
      { content: CONF.join('\n'), target: '/etc/rabbitmq/conf.d/90-posthorn.conf', mode: 0o644 },
    ])
    .withWaitStrategy(Wait.forLogMessage('Server startup complete'))
    .withStartupTimeout(START_TIMEOUT_MS)
    .start();
  const address = { host: container.getHost(), port: amqp, user: 'guest', password: 'guest', vhost: '/' };
  return { container, address, ports: { amqps, http }, certificates };
}

const TLS = { cert: `${TLS_FOLDER}/server.pem`, key: `${TLS_FOLDER}/server-key.pem` };
const CONF = [
  'loopback_users.guest = false',
  ...tlsListener('5671', `${TLS_FOLDER}/ca.pem`, TLS),
  ...FRESH_STATISTICS,
  '',
];

function answers({ host, port }: RabbitAddress): Promise<string> {
  return waitFor('RabbitMQ in Docker', () => probeRabbit(host, port, 2_000), START_TIMEOUT_MS);
}
