/**
 * Hello, world and Chuck: services that talk by entry points. Hello asks world and tells the others; answers and errors
 * come to handlers. World and Chuck share a server; hello has its own, and so has the audit; a client starts it all.
 * Each has a connection of its own, as if it were a process of its own.
 *
 *   node hello-world.js [url]      default memory://hello-world
 */
import { argv, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  type Controller,
  concurrent,
  connect,
  type Directory,
  type Discovery,
  type Executor,
  type Lanes,
  LocalDiscovery,
  type Logger,
  parseTransportUrl,
  rpcErrorMethod,
  rpcMethod,
  rpcResponseMethod,
  rpcService,
  type ServiceFailure,
  type ServiceMessage,
  type ServiceNotification,
  type ServiceProxy,
  type ServiceRequest,
  type ServiceResponse,
  ServiceServer,
  serviceClient,
  silent,
  subscriptionMethod,
  type Transport,
} from 'posthorn';

interface Hello {
  hello(params: { a: number }): void;
  hello_with_error(params: { e: string }): void;
}

interface World {
  world(params: { b: string }): { r: string };
  world2(params: { c: string }): void;
}

interface Remotes {
  readonly test_hello: Hello;
  readonly test_world: World;
}

type Proxy = ServiceProxy<Remotes>;

/** Everything is known to everybody here; what a service may do follows from its own entry. */
export const SERVICES: Directory = {
  test_hello: { exchange: 'test_exchange', notifications: 'test_notification_exchange' },
  test_world: { exchange: 'test_world_exchange' },
  test_chuck_norris: { exchange: 'test_world_exchange' },
  audit: { exchange: 'test_audit_exchange' },
};

export const CORRELATION = '123-456';
/** 1 hello, 2 worlds, 2 responses, 2 world2, 2 notifications, 2 hellos with error, 2 errors. */
export const MESSAGES = 13;

/** A handler that ran. */
export interface Handled {
  /** `world.hello_error`. */
  readonly handler: string;
  readonly message: ServiceMessage;
}

export interface HelloWorldOptions {
  readonly url: string;
  readonly onHandled: (handled: Handled) => void;
  /** Told of each controller that is made. */
  readonly onController?: (name: string) => void;
  /** Who starts when. Only what hello publishes must find world, or it is for nobody. */
  readonly order?: readonly ('hello' | 'world' | 'client')[];
  readonly lanes?: Lanes;
  readonly executor?: () => Executor;
  /** Where hello has the answers of world go: to itself, or to the audit. */
  readonly replyTo?: 'audit';
  /** How a service (undefined: the client) knows the others. */
  readonly discovery?: (service: string | undefined, subscriptions: readonly string[]) => Promise<Discovery>;
  readonly logger?: Logger;
}

type Record = (handler: string, message: ServiceMessage) => void;

function helloController(record: Record, replyTo: 'audit' | undefined): Controller {
  @rpcService('test_hello')
  class HelloController {
    @rpcMethod('test_hello.hello')
    async hello(request: ServiceRequest, proxy: Proxy): Promise<void> {
      record('hello.hello', request);
      await proxy.test_world.world({ b: 'call-1' }).call({ ...(replyTo && { replyTo }) });
      await proxy.test_world.world({ b: 'call-2' }).transfer(request, { ...(replyTo && { replyTo }) });
      await proxy.publish({ n: 'hi' });
    }

    @rpcMethod('test_hello.hello_with_error')
    hello_with_error(request: ServiceRequest): void {
      record('hello.hello_with_error', request);
      throw new Error('as expected');
    }

    @rpcResponseMethod('test_world.world')
    async world_resp(response: ServiceResponse, proxy: Proxy): Promise<void> {
      record('hello.world_resp', response);
      await proxy.test_world.world2({ c: 'call-3' }).call();
    }
  }
  return HelloController;
}

function worldController(record: Record): Controller {
  @rpcService('test_world')
  class WorldController {
    @rpcMethod('test_world.world')
    world(request: ServiceRequest): { r: string } {
      record('world.world', request);
      return { r: 'world response' };
    }

    @rpcMethod('test_world.world2')
    world2(request: ServiceRequest): void {
      record('world.world2', request);
    }

    @rpcErrorMethod('test_hello.hello_with_error')
    hello_error(error: ServiceFailure): void {
      record('world.hello_error', error);
    }

    @subscriptionMethod('test_hello.hello')
    async hello_subscription(notification: ServiceNotification, proxy: Proxy): Promise<void> {
      record('world.hello_subscription', notification);
      await proxy.test_hello.hello_with_error({ e: 'of world' }).call();
    }
  }
  return WorldController;
}

function chuckController(record: Record): Controller {
  @rpcService('test_chuck_norris')
  class ChuckController {
    @rpcErrorMethod('test_hello.hello_with_error')
    hello_error(error: ServiceFailure): void {
      record('chuck.hello_error', error);
    }

    @subscriptionMethod('test_hello.hello')
    async hello_subscription(notification: ServiceNotification, proxy: Proxy): Promise<void> {
      record('chuck.hello_subscription', notification);
      await proxy.test_hello.hello_with_error({ e: 'of chuck' }).call();
    }
  }
  return ChuckController;
}

function auditController(record: Record): Controller {
  return {
    service: 'audit',
    responses: { 'test_world.world': (response: ServiceResponse) => record('audit.world_resp', response) },
  };
}

/** Runs the whole story once. Resolves when everybody has left. */
export async function helloWorld(options: HelloWorldOptions): Promise<void> {
  const { url, onHandled, order = ['world', 'hello', 'client'], replyTo, logger = silent } = options;
  const { discovery = local, lanes } = options;
  // Without the audit hello calls world2 for each of the two responses.
  const expected = replyTo === undefined ? MESSAGES : MESSAGES - 2;
  const transports: Transport[] = [];
  const join = async (): Promise<Transport> => {
    const transport = await connect(url, { logger });
    transports.push(transport);
    return transport;
  };
  let handled = 0;
  let finish: () => void = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const record: Record = (handler, message) => {
    onHandled({ handler, message });
    if (++handled === expected) finish();
  };
  const start = {
    world: () =>
      serve(join, 'test_world_exchange', options, {
        test_world: worldController(record),
        test_chuck_norris: chuckController(record),
      }),
    hello: () => serve(join, 'test_exchange', options, { test_hello: helloController(record, replyTo) }),
    client: async () => {
      const client = serviceClient<Remotes>(await join(), {
        discovery: await discovery(undefined, []),
        source: 'client.script',
        ...(lanes && { lanes }),
      });
      await client.test_hello.hello({ a: 123 }).cast({ correlationId: CORRELATION });
    },
  };
  try {
    if (replyTo !== undefined) await serve(join, 'test_audit_exchange', options, { audit: auditController(record) });
    for (const who of order) await start[who]();
    await within(finished, () => `${handled} of ${expected} messages`);
  } finally {
    for (const transport of transports.reverse()) await transport.close({ timeoutMs: 5_000 });
  }
}

async function serve(
  join: () => Promise<Transport>,
  exchange: string,
  { lanes, executor = () => concurrent(100), discovery = local, onController = () => undefined }: HelloWorldOptions,
  controllers: Readonly<{ [service: string]: Controller }>,
): Promise<void> {
  const server = new ServiceServer(await join(), {
    exchange,
    executor: executor(),
    ...(lanes && { lanes }),
    create: (controller) => {
      onController(controller.name);
      return new controller();
    },
  });
  for (const [service, controller] of Object.entries(controllers))
    server.registry.add(
      controller,
      await discovery(service, service === 'test_world' || service === 'test_chuck_norris' ? ['test_hello'] : []),
    );
  await server.start();
}

/** The discovery by hand. */
async function local(service: string | undefined, subscriptions: readonly string[]): Promise<Discovery> {
  const discovery = new LocalDiscovery();
  for (const [name, { exchange, notifications }] of Object.entries(SERVICES)) {
    if (name !== service) discovery.registerRemoteService(name, exchange);
    if (notifications === undefined) continue;
    if (name === service) discovery.registerLocalPublisher(name, notifications);
    if (subscriptions.includes(name)) discovery.registerRemotePublisher(name, notifications);
  }
  return discovery;
}

async function within(finished: Promise<void>, progress: () => string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`after 10 s only ${progress()}`)), 10_000);
  });
  try {
    await Promise.race([finished, late]);
  } finally {
    clearTimeout(timer);
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const url = argv[2] ?? 'memory://hello-world';
  stdout.write(`Hello, world, over ${parseTransportUrl(url)}\n\n`);
  try {
    await helloWorld({
      url,
      onHandled: ({ handler, message: { type, source, payload, correlationId } }) =>
        stdout.write(
          `  ${handler.padEnd(26)} ${type.padEnd(12)} from ${`${source}`.padEnd(28)} ${correlationId}  ${JSON.stringify(payload)}\n`,
        ),
    });
    stdout.write('\nevery service has shut down.\n');
  } catch (error) {
    process.stderr.write(`failed: ${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
