/**
 * Boot an instance: an API, two conductors, a scheduler and two compute hosts, as separate services that know of each
 * other only topics. The compute hosts tell what happens; two metering collectors share that, a dashboard sees it all.
 * What the collectors hear of an instance that runs they turn into a signed meter, which billing verifies.
 * Each has a connection of its own, as if it were a process of its own; boot-in-processes.ts makes it one.
 *
 *   node boot-an-instance.js [url] [url of notifications]      default memory://boot-an-instance, for both
 */
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  BaseEndpoint,
  type Context,
  connect,
  type Endpoint,
  hmacSha256,
  MessagingError,
  type Notification,
  NotificationListener,
  Notifier,
  type OutgoingCall,
  Publisher,
  RPCClient,
  RPCServer,
  Subscriber,
  silent,
  type Transport,
  waitUntilReady,
} from 'posthorn';
import { type Audience, type Hop, narrate } from './hop-printer.ts';
import { Instance, instances } from './instance.ts';
import { CeilometerRouter, Counter } from './meter.ts';
import { Milestones, type Progress } from './milestones.ts';

export const EXCHANGE = 'boot-an-instance.nova';
const NOTIFICATIONS = 'notifications';
export const METERING = 'boot-an-instance.metering';
/** What collectors sign meters with, and billing verifies. */
const METERING_KEY = hmacSha256({ keys: { 'metering-1': 'known to this story alone' }, signWith: 'metering-1' });
/** On a broker that others use, too: names of our own, which go when nobody uses them any more. */
const RETENTION = { expiresMs: 60_000 };
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

/** The end of a boot, as compute tells it. */
interface RunningInstance {
  readonly id: string;
  readonly vcpus: number;
}

export interface BootOptions extends Audience {
  readonly url: string;
  /** Where notifications and meters go. Default: where the calls go, by the same connections. */
  readonly notificationsUrl?: string | undefined;
}

type Start = (service: Service, onEvent: Audience['onEvent'], done: Progress) => Promise<void>;

/** The services by name, in the order in which they start. */
const PARTS: readonly (readonly [string, Start])[] = [
  ['billing', startBilling],
  ['collector-1', startCollector],
  ['collector-2', startCollector],
  ['dashboard', startDashboard],
  ['scheduler', startScheduler],
  ['host1', startCompute],
  ['host2', startCompute],
  ['conductor-1', startConductor],
  ['conductor-2', startConductor],
];

/** The names of the services. The API, which makes it all happen, comes last. */
export const partNames: readonly string[] = [...PARTS.map(([name]) => name), 'api'];

/** Starts one service; the API resolves when the story is told. Its transports are the caller's to close. */
export async function startPart(
  name: string,
  { url, notificationsUrl, onHop, onEvent }: BootOptions,
  done: Milestones | Progress,
  opened: (transport: Transport) => void,
): Promise<void> {
  const join = async (to: string): Promise<Transport> => {
    const transport = await connect(to, { logger: silent });
    opened(transport);
    return transport;
  };
  const calls = await join(url);
  const service = new Service(
    name,
    calls,
    notificationsUrl === undefined ? calls : await join(notificationsUrl),
    onHop,
  );
  const start = PARTS.find(([known]) => known === name)?.[1];
  if (start !== undefined) await start(service, onEvent, done);
  else if (done instanceof Milestones) await useApi(service, onEvent, done);
}

/** Runs the whole story once. Resolves when every service has shut down. */
export async function bootAnInstance(options: BootOptions): Promise<void> {
  const transports: Transport[] = [];
  const done = new Milestones();
  try {
    for (const name of partNames) await startPart(name, options, done, (transport) => transports.push(transport));
  } finally {
    for (const transport of transports.reverse()) await transport.close({ timeoutMs: 5_000 });
  }
}

/** One service's connections, with clients that report their hops. */
class Service {
  readonly name: string;
  readonly #calls: Transport;
  readonly #notifications: Transport;
  readonly #onHop: (hop: Hop) => void;

  constructor(name: string, calls: Transport, notifications: Transport, onHop: (hop: Hop) => void) {
    this.name = name;
    this.#calls = calls;
    this.#notifications = notifications;
    this.#onHop = onHop;
  }

  client<Api>(topic: string, namespace?: string): RPCClient<Api> {
    const target = { exchange: EXCHANGE, topic, ...(namespace !== undefined && { namespace }) };
    return new RPCClient<Api>(this.#calls, {
      target,
      serializer: instances,
      layers: [(next) => (call) => this.#timed(call, next)],
    });
  }

  async serve(topic: string, endpoints: readonly Endpoint[]): Promise<void> {
    const target = { exchange: EXCHANGE, topic, server: this.name };
    await new RPCServer(this.#calls, {
      target,
      endpoints: [...endpoints, new BaseEndpoint(this.name)],
      serializer: instances,
    }).start();
  }

  /** Notifications of a pool, which its listeners share. */
  async listen(pool: string, info: (notification: Notification) => void | Promise<void>): Promise<void> {
    const targets = [{ exchange: EXCHANGE, topic: NOTIFICATIONS }];
    const ours = { pool: `boot-an-instance.${pool}`, retention: RETENTION };
    await new NotificationListener(this.#notifications, { targets, ...ours, endpoints: [{ info }] }).start();
  }

  meters(): CeilometerRouter {
    const publisherId = `metering.${this.name}`;
    const options = { exchange: METERING, publisherId, signer: METERING_KEY };
    return new CeilometerRouter(new Publisher(this.#notifications, options));
  }

  /** Meters that are what a collector signed. */
  async verify(onMeter: (meter: Counter) => void): Promise<void> {
    const ours = { group: 'boot-an-instance.billing', retention: RETENTION };
    const verify = { verifier: METERING_KEY };
    const subscriber = new Subscriber(this.#notifications, { exchange: METERING, keys: ['metering'], verify, ...ours });
    await subscriber.on(Counter, onMeter).start();
  }

  notifier(): Notifier {
    return new Notifier(this.#notifications, {
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

async function startConductor(service: Service, onEvent: Audience['onEvent']): Promise<void> {
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

async function startScheduler(service: Service, onEvent: Audience['onEvent']): Promise<void> {
  await service.serve('scheduler', [
    {
      select_destinations(_context: Context, { instance }: BuildRequest) {
        onEvent(service.name, `picks host2 for ${instance}`);
        return { host: 'host2' };
      },
    },
  ]);
}

async function startCollector(service: Service, onEvent: Audience['onEvent'], done: Progress): Promise<void> {
  const meters = service.meters();
  await service.listen('metering', async ({ eventType, publisherId, payload }) => {
    onEvent(service.name, `hears ${eventType} from ${publisherId}`);
    done.count('metering');
    if (eventType !== 'compute.instance.create.end') return;
    const { id, vcpus } = payload as RunningInstance;
    await meters.sendMeterMessage(new Counter('vcpus', id, vcpus));
  });
}

async function startDashboard(service: Service, onEvent: Audience['onEvent'], done: Progress): Promise<void> {
  await service.listen('dashboard', ({ eventType, publisherId }) => {
    onEvent(service.name, `hears ${eventType} from ${publisherId}`);
    done.count('dashboard');
  });
}

async function startBilling(service: Service, onEvent: Audience['onEvent'], done: Progress): Promise<void> {
  await service.verify((meter) => {
    onEvent(service.name, `has a verified meter: ${meter}`);
    done.count('meter');
  });
}

async function startCompute(service: Service, onEvent: Audience['onEvent'], done: Progress): Promise<void> {
  const notifier = service.notifier();
  await service.serve('compute', [
    {
      async build_and_run_instance(context: Context, { instance }: BuildRequest) {
        const { id } = instance;
        await notifier.info(context, 'compute.instance.create.start', { id });
        for (const percent of [25, 50, 75])
          await notifier.info(context, 'compute.instance.create.progress', { id, percent });
        onEvent(service.name, `runs ${instance}`);
        const running: RunningInstance = { id, vcpus: instance.vcpus };
        await notifier.info(context, 'compute.instance.create.end', running);
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
async function useApi(service: Service, onEvent: Audience['onEvent'], done: Milestones): Promise<void> {
  const conductor = service.client<ConductorApi>('conductor', 'compute_task');
  const compute = service.client<ComputeApi>('compute');
  await waitUntilReady(service.client('conductor'));

  const running = Promise.all([
    done.wait('running i-1'),
    done.wait(`metering ${EVENTS}`),
    done.wait(`dashboard ${EVENTS}`),
    done.wait('meter 1'),
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

if (argv[1] === fileURLToPath(import.meta.url)) {
  const url = argv[2] ?? 'memory://boot-an-instance';
  await narrate('Boot an instance', (audience, onUrl) => {
    onUrl(url);
    return bootAnInstance({ url, notificationsUrl: argv[3], ...audience });
  });
}
