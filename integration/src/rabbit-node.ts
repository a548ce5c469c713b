import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificates, KeyPair } from './certificates.ts';

/** Ports on 127.0.0.1: AMQP plain and over TLS, HTTP API, Erlang distribution, Erlang's port mapper. */
export interface RabbitPorts {
  readonly amqp: number;
  readonly amqps: number;
  readonly http: number;
  readonly distribution: number;
  readonly epmd: number;
}

/** What a RabbitMQ node is made of: its folder, filled, and the environment to start the server in. */
export interface RabbitNode {
  readonly folder: string;
  readonly ports: RabbitPorts;
  readonly certificates: Certificates;
  readonly env: Readonly<Record<string, string>>;
}

/** Writes the configuration, cookie and plugin list of a new node into `folder`. */
export async function writeRabbitNode(
  node: Omit<RabbitNode, 'env'> & {
    readonly conf: readonly string[];
    readonly plugins: readonly string[];
    readonly cookie: string | undefined;
  },
): Promise<RabbitNode> {
  const { folder, ports, certificates, cookie = randomBytes(16).toString('hex') } = node;
  await mkdir(join(folder, 'mnesia'));
  await writeFile(join(folder, '.erlang.cookie'), cookie, { mode: 0o400 });
  const plugins = ['rabbitmq_management', 'rabbitmq_amqp1_0', ...node.plugins];
  await writeFile(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  const conf = [...listeners(ports, certificates), ...TEMPER, ...node.conf];
  await writeFile(join(folder, 'rabbitmq.conf'), `${conf.join('\n')}\n`);
  return { folder, ports, certificates, env: environment(folder, ports) };
}

/** The HTTP API lists what was collected last: up to 5 s old by default. Its shortest interval is one second. */
export const FRESH_STATISTICS = [
  'collect_statistics_interval = 200',
  ...['global', 'basic', 'detailed'].map((scope) => `management.sample_retention_policies.${scope}.minute = 1`),
];

const TEMPER = [
  // The log goes to standard output alone, where the start is watched.
  'log.console = true',
  'log.console.level = info',
  'log.file = false',
  // No alarm from a small or crowded machine; tests that want one set it themselves.
  'vm_memory_high_watermark.absolute = 1GB',
  'disk_free_limit.absolute = 50MB',
  ...FRESH_STATISTICS,
];

function listeners(ports: RabbitPorts, { ca, server }: Certificates): string[] {
  return [
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
    ...tlsListener(`127.0.0.1:${ports.amqps}`, ca, server),
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${ports.http}`,
  ];
}

/** Lines of rabbitmq.conf for a TLS listener that checks client certificates but asks for none. */
export function tlsListener(listener: string, ca: string, { cert, key }: KeyPair): string[] {
  return [
    `listeners.ssl.1 = ${listener}`,
    `ssl_options.cacertfile = ${ca}`,
    `ssl_options.certfile = ${cert}`,
    `ssl_options.keyfile = ${key}`,
    'ssl_options.verify = verify_peer',
    'ssl_options.fail_if_no_peer_cert = false',
  ];
}

/** The Erlang name of the node with these ports. */
export function nodeName({ amqp }: RabbitPorts): string {
  return `posthorn-${amqp}@localhost`;
}

/** Nothing of our own environment is passed on: a RABBITMQ_… variable of the machine would mix two brokers up. */
function environment(folder: string, ports: RabbitPorts): Record<string, string> {
  return {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/bin:/sbin:/bin`,
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    HOME: folder,
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: nodeName(ports),
    RABBITMQ_NODE_PORT: String(ports.amqp),
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    // Makes the start script become the Erlang VM instead of watching over it: the pid we started is the broker's.
    RUNNING_UNDER_SYSTEMD: 'true',
    // A few schedulers that do not spin: brokers share small machines with the tests.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
  };
}
