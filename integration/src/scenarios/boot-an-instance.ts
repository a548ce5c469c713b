/**
 * Boot an instance: an API, two conductors, a scheduler and two compute hosts, as separate services that know of each
 * other only topics. The compute hosts tell what happens; two metering collectors share that, a dashboard sees it all.
 * Each has a connection of its own, as if it were a process of its own.
 *
 *   node boot-an-instance.js [url]      default memory://boot-an-instance
 */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { argv, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  BaseEndpoint,
  type Context,
  connect,
  type Endpoint,
  MessagingError,
  type Notification,
  NotificationListener,
  Notifier,
  type OutgoingCall,
  RPCClient,
  RPCServer,
  silent,
  type Transport,
  waitUntilReady,
} from 'posthorn';
import { type Hop, HopPrinter } from './hop-printer.ts';
import { Instance, instances } from './instance.ts';

const EXCHANGE = 'boot-an-instance.nova';
const NOTIFICATIONS = 'notifications';
/** What one boot tells: start, three times progress, end. */
const EVENTS = 5;

interface BuildRequest {
  readonly instance: Instance;
}

interface ConductorApi {
  build_instances(args: BuildRequest): void;
}

interface SchedulerApi {
  select_destinations(args: BuildRequest): { readonly host: string };
}

interface ComputeApi {
  build_and_run_instance(args: BuildRequest): void;
  reboot_instance(args: { readonly id: string }): string;
  refresh_images(): void;
}

export interface BootOptions {
  readonly url: string;
  /** Told of each hop when it is done. */
  readonly onHop: (hop: Hop) => void;
  /** Told of what happens inside a service. */
  readonly onEvent: (who: string, what: string) => void;
}

/** Runs the whole story once. Resolves when every service has shut down. */
export async function bootAnInstance({ url, onHop, onEvent }: BootOptions): Promise<void> {
  const services: Transport[] = [];
  const join = async (who: string): Promise<Service> => {
    const transport = await connect(url, { logger: silent });
    services.push(transport);
    return new Service(who, transport, onHop);
  };
  const done = new Milestones();
  try {
    for (const name of ['collector-1', 'collector-2'])
      await startCollector(await join(name), 'metering', onEvent, done);
    await startCollector(await join('dashboard'), 'dashboard', onEvent, done);
    await startScheduler(await join('scheduler'), onEvent);
    for (const host of ['host1', 'host2']) await startCompute(await join(host), onEvent, done);
    for (const name of ['conductor-1', 'conductor-2']) await startConductor(await join(name), onEvent);
    await useApi(await join('api'), onEvent, done);
  } finally {
    for (const transport of services.reverse()) await transport.close({ timeoutMs: 5_000 });
  }
}

/** One service's connection, with clients that report their hops. */
class Service {
  readonly name: string;
  readonly #transport: Transport;
  readonly #onHop: (hop: Hop) => void;

  constructor(name: string, transport: Transport, onHop: (hop: Hop) => void) {
    this.name = name;
    this.#transport = transport;
    this.#onHop = onHop;
  }

  client<Api>(topic: string, namespace?: string): RPCClient<Api> {
    const target = { exchange: EXCHANGE, topic, ...(namespace !== undefined && { namespace }) };
    return new RPCClient<Api>(this.#transport, {
      target,
      serializer: instances,
      layers: [(next) => (call) => this.#timed(call, next)],
    });
  }

  async serve(topic: string, endpoints: readonly Endpoint[]): Promise<void> {
    const target = { exchange: EXCHANGE, topic, server: this.name };
    await new RPCServer(this.#transport, {
      target,
      endpoints: [...endpoints, new BaseEndpoint(this.name)],
      serializer: instances,
    }).start();
  }

  /** Notifications of a pool, which its listeners share. */
  async listen(pool: string, info: (notification: Notification) => void): Promise<void> {
    const targets = [{ exchange: EXCHANGE, topic: NOTIFICATIONS }];
    // On a broker that others use, too: names of our own, which go when nobody uses them any more.
    const ours = { pool: `boot-an-instance.${pool}`, retention: { expiresMs: 60_000 } };
    await new NotificationListener(this.#transport, { targets, ...ours, endpoints: [{ info }] }).start();
  }

  notifier(): Notifier {
    return new Notifier(this.#transport, {
      publisherId: `compute.${this.name}`,
      exchange: EXCHANGE,
      topics: [NOTIFICATIONS],
    });
  }

  async #timed(call: OutgoingCall, next: (call: OutgoingCall) => Promise<unknown>): Promise<unknown> {
    const began = performance.now();
    const hop = (answer: string): void => {
      const { kind, target, method } = call;
      this.#onHop({
        who: this.name,
        kind: target.fanout ? 'fanout' : kind,
        target,
        method,
        ms: performance.now() - began,
        answer,
      });
    };
    try {
      const result = await next(call);
      hop(call.kind === 'call' ? JSON.stringify(result) : '');
      return result;
    } catch (error) {
      hop(error instanceof MessagingError ? error.code : 'failed');
      throw error;
    }
  }
}

async function startConductor(service: Service, onEvent: BootOptions['onEvent']): Promise<void> {
  const scheduler = service.client<SchedulerApi>('scheduler');
  const compute = service.client<ComputeApi>('compute');
  const endpoint = {
    target: { namespace: 'compute_task', version: '1.0' },
    async build_instances(context: Context, { instance }: BuildRequest) {
      onEvent(service.name, `builds ${instance}`);
      const { host } = await scheduler.call(context, 'select_destinations', { instance });
      await compute.prepare({ server: host }).cast(context, 'build_and_run_instance', { instance });
    },
  };
  await service.serve('conductor', [endpoint]);
}

async function startScheduler(service: Service, onEvent: BootOptions['onEvent']): Promise<void> {
  await service.serve('scheduler', [
    {
      select_destinations(_context: Context, { instance }: BuildRequest) {
        onEvent(service.name, `picks host2 for ${instance}`);
        return { host: 'host2' };
      },
    },
  ]);
}

async function startCollector(
  service: Service,
  pool: string,
  onEvent: BootOptions['onEvent'],
  done: Milestones,
): Promise<void> {
  await service.listen(pool, ({ eventType, publisherId }) => {
    onEvent(service.name, `hears ${eventType} from ${publisherId}`);
    done.count(pool);
  });
}

async function startCompute(service: Service, onEvent: BootOptions['onEvent'], done: Milestones): Promise<void> {
  const notifier = service.notifier();
  await service.serve('compute', [
    {
      async build_and_run_instance(context: Context, { instance }: BuildRequest) {
        const { id } = instance;
        await notifier.info(context, 'compute.instance.create.start', { id });
        for (const percent of [25, 50, 75])
          await notifier.info(context, 'compute.instance.create.progress', { id, percent });
        onEvent(service.name, `runs ${instance}`);
        await notifier.info(context, 'compute.instance.create.end', { id, vcpus: instance.vcpus });
        done.reach(`running ${id}`);
      },
      reboot_instance(_context: Context, { id }: { readonly id: string }) {
        onEvent(service.name, `reboots ${id}`);
        return 'rebooted';
      },
      refresh_images() {
        onEvent(service.name, 'refreshes its images');
        done.reach(`refreshed ${service.name}`);
      },
    },
  ]);
}

/** The API answers HTTP; everything behind it is messaging. */
async function useApi(service: Service, onEvent: BootOptions['onEvent'], done: Milestones): Promise<void> {
  const conductor = service.client<ConductorApi>('conductor', 'compute_task');
  const compute = service.client<ComputeApi>('compute');
  await waitUntilReady(service.client('conductor'));

  const running = Promise.all([
    done.wait('running i-1'),
    done.wait(`metering ${EVENTS}`),
    done.wait(`dashboard ${EVENTS}`),
  ]);
  const http = createServer((_request, response) => {
    conductor
      .cast({ request_id: 'req-1', user: 'alice' }, 'build_instances', { instance: new Instance('i-1', 'web', 2) })
      .then(
        () => response.writeHead(202).end(),
        (error: unknown) => response.writeHead(503).end(String(error)),
      );
  });
  const port = await listening(http);
  try {
    const began = performance.now();
    const { status } = await fetch(`http://127.0.0.1:${port}/servers`, { method: 'POST' });
    onEvent(service.name, `POST /servers answered ${status} in ${(performance.now() - began).toFixed(1)} ms`);
  } finally {
    http.close();
    http.closeAllConnections();
  }
  await running;

  await compute.prepare({ server: 'host2' }).call({}, 'reboot_instance', { id: 'i-1' });
  const refreshed = Promise.all(['host1', 'host2'].map((host) => done.wait(`refreshed ${host}`)));
  await compute.fanout({}, 'refresh_images');
  await refreshed;
}

async function listening(server: HttpServer): Promise<number> {
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** What must have happened before the story goes on. */
class Milestones {
  readonly #reached = new Map<string, () => void>();
  readonly #counts = new Map<string, number>();

  wait(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`nothing came of: ${name}`)), 10_000);
      this.#reached.set(name, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  reach(name: string): void {
    this.#reached.get(name)?.();
  }

  /** Reaches `name 1`, `name 2`, … */
  count(name: string): void {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    this.reach(`${name} ${count}`);
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const printer = new HopPrinter(stdout);
  const url = argv[2] ?? 'memory://boot-an-instance';
  printer.title('Boot an instance', url);
  try {
    await bootAnInstance({ url, onHop: (hop) => printer.hop(hop), onEvent: (who, what) => printer.event(who, what) });
    printer.summary();
  } catch (error) {
    process.stderr.write(
      `failed: ${error instanceof MessagingError ? `${error.code}: ` : ''}${error instanceof Error ? error.message : error}\n`,
    );
    process.exitCode = 1;
  }
}
