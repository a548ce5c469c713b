import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeCertificates } from './certificates.ts';
import { cannotInstall, installDebian } from './debian.ts';
import { findExecutable } from './executable.ts';
import { isSkip, type Skip } from './found.ts';
import { freePorts } from './free-port.ts';
import { ManagementApi } from './management.ts';
import { type RabbitBroker, type RabbitTls, rabbitTls, rabbitUrl } from './rabbit.ts';
import { type RabbitNode, type RabbitPorts, writeRabbitNode } from './rabbit-node.ts';
import { makeTempFolder } from './temp-folder.ts';
import { TiedProcess } from './tied-process.ts';
import { waitFor } from './wait-for.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;

// By this line of its log RabbitMQ 3.10 has closed listeners, connections and message stores. It then waits 5 s for an
// event handler of its management plugin that never answers; 4.x stops in a second. No test needs to wait with it. What
// it would do last is done before: write the table without which quorum queues come back empty.
const LAST_WORDS = 'to stop collect_statistics';
const LINGER_MS = 300;
const SYNC = '[dets:sync(Table) || Table <- dets:all()].';

/** What a test wants otherwise than the broker of `findRabbit`. */
export interface RabbitProcessOptions {
  /** Lines for rabbitmq.conf: `consumer_timeout = 2000`. */
  readonly conf?: readonly string[];
  /** Plugins besides management and AMQP 1.0. */
  readonly plugins?: readonly string[];
  readonly member?: ClusterMember;
}

/** What the nodes of a cluster must agree on, known before the first of them starts. */
export interface ClusterMember {
  readonly ports: RabbitPorts;
  readonly cookie: string;
  /** Starts the epmd that its siblings use too. */
  readonly first: boolean;
}

/**
 * Starts an installed RabbitMQ, apart from any other on the machine: ports, node name, epmd, cookie and data are its
 * own, and it listens on 127.0.0.1 only. Installs it first where that is possible. Each call starts another broker.
 */
export async function startRabbitProcess(options: RabbitProcessOptions = {}): Promise<RabbitBroker | Skip> {
  const programs = await getPrograms();
  if (isSkip(programs)) return programs;
  const broker = new RabbitProcess(programs, await prepare(options), options.member?.first ?? true);
  await broker.start();
  return broker;
}

interface Programs {
  readonly server: string;
  readonly epmd: string;
}

async function findPrograms(): Promise<Programs | undefined> {
  // Debian's rabbitmq-server on PATH insists on another user; the one beneath does not care who runs it.
  const server = await findExecutable('rabbitmq-server', '/usr/lib/rabbitmq/bin/rabbitmq-server');
  const epmd = await findExecutable('epmd');
  const openssl = await findExecutable('openssl'); // for certificates.ts
  return server && epmd && openssl ? { server, epmd } : undefined;
}

async function getPrograms(): Promise<Programs | Skip> {
  const installed = await findPrograms();
  if (installed) return installed;
  const obstacle = cannotInstall();
  if (obstacle) return { skip: `rabbitmq-server, epmd and openssl are not all installed, and ${obstacle}` };
  try {
    await installDebian('rabbitmq-server', 'openssl');
  } catch (error) {
    return { skip: `rabbitmq-server could not be installed: ${String(error).slice(-300)}` };
  }
  return (await findPrograms()) ?? { skip: 'rabbitmq-server is not where it should have been installed' };
}

async function prepare({ conf = [], plugins = [], member }: RabbitProcessOptions): Promise<RabbitNode> {
  const folder = makeTempFolder('rabbit');
  const certificates = await makeCertificates(join(folder, 'tls'));
  const ports = member?.ports ?? (await rabbitPorts());
  return await writeRabbitNode({ folder, ports, certificates, conf, plugins, cookie: member?.cookie });
}

/** Free ports for a node. */
export async function rabbitPorts(): Promise<RabbitPorts> {
  const [amqp = 0, amqps = 0, http = 0, distribution = 0, epmd = 0] = await freePorts(5);
  return { amqp, amqps, http, distribution, epmd };
}

class RabbitProcess implements RabbitBroker {
  readonly host = '127.0.0.1';
  readonly user = 'guest';
  readonly password = 'guest';
  readonly vhost = '/';
  readonly port: number;
  readonly url: string;
  readonly tls: RabbitTls;
  readonly api: ManagementApi;
  version = 'unknown';
  readonly #programs: Programs;
  readonly #node: RabbitNode;
  readonly #startsEpmd: boolean;
  #epmd: TiedProcess | undefined;
  #server: TiedProcess | undefined;

  constructor(programs: Programs, node: RabbitNode, startsEpmd: boolean) {
    this.#programs = programs;
    this.#node = node;
    this.#startsEpmd = startsEpmd;
    const { ports, certificates } = node;
    this.port = ports.amqp;
    this.url = rabbitUrl(this);
    this.tls = rabbitTls(ports.amqps, certificates);
    this.api = new ManagementApi(`http://${this.user}:${this.password}@${this.host}:${ports.http}/api`);
  }

  async start(): Promise<void> {
    if (this.#server && this.#server.ended === undefined) return;
    if (this.#startsEpmd) this.#epmd ??= await this.#startEpmd();
    else await waitFor('epmd', () => accepts(this.#node.ports.epmd));
    let markReady = (): void => {};
    const ready = new Promise<void>((resolve) => {
      markReady = resolve;
    });
    const onLine = (line: string): void => {
      this.version = /Starting RabbitMQ (\S+)/.exec(line)?.[1] ?? this.version;
      if (line.includes('Server startup complete')) markReady();
      if (line.includes(LAST_WORDS)) setTimeout(() => server.signal('SIGKILL'), LINGER_MS).unref();
    };
    // detached: Ctrl-C in a terminal is for the test runner; the broker goes when the runner has cleaned up.
    const server = await TiedProcess.start(this.#programs.server, [], { env: this.#node.env, detached: true, onLine });
    this.#server = server;
    const timer = setTimeout(() => server.signal('SIGKILL'), START_TIMEOUT_MS);
    const died = await Promise.race([ready, server.exited]);
    clearTimeout(timer);
    if (died) throw new Error(`RabbitMQ did not start (${died}):\n${server.tail.join('\n')}`);
  }

  async stop(): Promise<void> {
    if (this.#server === undefined || this.#server.ended !== undefined) return;
    await this.ctl('eval', SYNC);
    await this.#server.stop('SIGTERM', STOP_TIMEOUT_MS);
  }

  async kill9(): Promise<void> {
    await this.#server?.stop('SIGKILL');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async ctl(...args: readonly string[]): Promise<string> {
    const ctl = join(dirname(this.#programs.server), 'rabbitmqctl');
    const { stdout } = await promisify(execFile)(ctl, ['--quiet', ...args], { env: this.#node.env });
    return stdout;
  }

  /** Our own epmd, in the foreground: the one a node starts by itself is a daemon that outlives it. */
  async #startEpmd(): Promise<TiedProcess> {
    const port = this.#node.ports.epmd;
    const args = ['-port', String(port), '-address', this.host];
    const epmd = await TiedProcess.start(this.#programs.epmd, args, { env: this.#node.env, detached: true });
    await waitFor('epmd', () => accepts(port));
    return epmd;
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } finally {
    socket.destroy();
  }
}
