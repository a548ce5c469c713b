/**
 * Deploy: two APIs take requests and leave the work to two engines, which send plans to the agents of machines that do not
 * run yet. One engine dies, an agent loses its network in the middle of a plan, an old plan is sent again, and an agent
 * never comes. Each has a connection of its own, as if it were a process of its own.
 *
 *   node deploy-agents.js [url]      default memory://deploy-agents
 */
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  type Context,
  connect,
  MessagingError,
  nativeEnvelope,
  Publisher,
  RPCServer,
  Subscriber,
  silent,
  type Transport,
} from 'posthorn';
import { Network } from '../network.ts';
import { waitFor } from '../wait-for.ts';
import {
  type DeploymentReport,
  type DeploymentResult,
  type DeploymentTask,
  type Leg,
  mailboxOf,
  REPORTS,
  RETENTION,
  Report,
  RPC,
  TASKS,
  Task,
} from './deployment.ts';
import { Agent } from './deployment-agent.ts';
import { Engine } from './deployment-engine.ts';
import { type Audience, narrate } from './hop-printer.ts';
import { Milestones } from './milestones.ts';

const APIS = ['api-1', 'api-2'];
const MACHINES = [1, 2, 3, 4, 5];
/** The machine whose agent never comes: nobody waits long for it, and its mailbox is kept for as long as this. */
const NEVER = { machine: 5, patienceMs: 4_000, mailboxMs: 5_000 };
const OTHERS = { patienceMs: 30_000, mailboxMs: 60_000 };
/** The agent that loses its network. */
const CUT_OFF = 'agent-2';

export interface DeployOptions extends Audience {
  readonly url: string;
  /** Default `mailbox`. */
  readonly leg?: Leg;
  /** Starts the engine that dies, as a process; returns how to kill it. Default: an engine in this one, cut off for good. */
  readonly startEngine?: (name: string, url: string, leg: Leg) => Promise<() => Promise<void>>;
}

/** What the story does not tell, for who wants to know more. */
export interface Deployed {
  /** By engine, the tasks that it began. */
  readonly began: ReadonlyMap<string, ReadonlySet<number>>;
  /** How often each task had a result. */
  readonly results: ReadonlyMap<number, number>;
  /** How often the plan of each task was run. */
  readonly ran: ReadonlyMap<number, number>;
  /** How many connections each engine made; undefined where they cannot be counted. */
  readonly connections: Readonly<Record<string, number | undefined>>;
  /** From the first request until the mailbox that nobody read was gone. */
  readonly mailboxMs: number;
}

/** Runs the whole story once. Resolves when everybody has left. */
export async function deployAgents(options: DeployOptions): Promise<Deployed> {
  const story = new Story(options);
  try {
    return await story.tell();
  } finally {
    await story.end();
  }
}

class Story {
  readonly #options: DeployOptions;
  readonly #leg: Leg;
  readonly #done = new Milestones();
  readonly #database: Deployments;
  /** The parts to be closed in the end, newest last. */
  readonly #parts: (() => Promise<unknown>)[] = [];

  constructor(options: DeployOptions) {
    this.#options = options;
    this.#leg = options.leg ?? 'mailbox';
    this.#database = new Deployments(options.onEvent, this.#done);
  }

  async tell(): Promise<Deployed> {
    const { onEvent } = this.#options;
    const publishers = new Map<string, Publisher>();
    for (const name of APIS) publishers.set(name, await this.#startApi(name));
    const [first, kill] = await this.#startMortalEngine('engine-1');
    const second = await this.#network();
    await new Engine('engine-2', await this.#join(second), this.#leg).start();

    const waiting = this.#done.wait(`waiting ${MACHINES.length}`);
    const requested = performance.now();
    for (const task of MACHINES.map(taskOf)) {
      await publishers.get(task.api)?.publish(Task, task);
      onEvent(task.api, `asks for deployment ${task.id}, and has done its part`);
    }
    await waiting;
    await kill();
    onEvent('engine-1', 'is killed');
    const deployed = this.#done.wait(`deployed ${MACHINES.length}`);
    const agents: Agent[] = [];
    for (const machine of MACHINES)
      if (machine !== NEVER.machine) agents.push(await this.#startAgent(`agent-${machine}`));
    await deployed;
    if (this.#leg === 'mailbox') {
      await this.#replay(agents);
      await this.#mailboxGone();
    }
    return {
      began: this.#database.began,
      results: this.#database.results,
      ran: counted(agents.flatMap(({ ran }) => ran)),
      connections: { 'engine-1': first.connections, 'engine-2': second.connections },
      mailboxMs: performance.now() - requested,
    };
  }

  async end(): Promise<void> {
    for (const close of this.#parts.reverse()) await close();
  }

  async #network(): Promise<Network> {
    const network = await Network.open(this.#options.url);
    this.#parts.push(() => network[Symbol.asyncDispose]());
    return network;
  }

  async #join(network?: Network): Promise<Transport> {
    const transport = await (network?.connect() ?? connect(this.#options.url, { logger: silent }));
    this.#parts.push(() => transport.close({ timeoutMs: 5_000 }));
    return transport;
  }

  async #startApi(name: string): Promise<Publisher> {
    const transport = await this.#join();
    await new RPCServer(transport, {
      target: { exchange: RPC, topic: 'api', server: name },
      endpoints: [
        {
          process_result: (_: Context, result: DeploymentResult): void => this.#database.finish(name, result),
        },
      ],
    }).start();
    await new Subscriber(transport, {
      exchange: REPORTS,
      group: `${REPORTS}.${name}`,
      keys: [`${name}.*`],
      retention: RETENTION,
      // Those of one task in their order, those of different tasks side by side.
      orderBy: ({ key }) => key,
    })
      .on(Report, (report) => this.#database.note(name, report))
      .start();
    return new Publisher(transport, { exchange: TASKS, publisherId: name });
  }

  async #startMortalEngine(name: string): Promise<readonly [Network, kill: () => Promise<void>]> {
    const network = await this.#network();
    const { startEngine } = this.#options;
    if (startEngine !== undefined) return [network, await startEngine(name, network.url, this.#leg)];
    const transport = await network.connect();
    // There is no way back for it: what it still does reaches nobody.
    this.#parts.push(() => transport.close({ signal: AbortSignal.abort() }));
    await new Engine(name, transport, this.#leg).start();
    return [network, async () => network.cut()];
  }

  async #startAgent(name: string): Promise<Agent> {
    const { onEvent } = this.#options;
    const network = await this.#network();
    const during = async (): Promise<void> => {
      onEvent(name, 'runs its plan');
      if (name !== CUT_OFF || this.#leg !== 'mailbox') return;
      network.cut();
      await waitFor('the network to be lost', () => transport.status.state !== 'connected');
      onEvent(name, 'loses its network, and goes on');
      await network.heal();
    };
    const transport = await this.#join(network);
    const onRefused = (reason: string): void => {
      onEvent(name, `refuses a plan: ${reason}`);
      this.#done.reach('refused');
    };
    const { mailboxMs } = OTHERS;
    return await new Agent(name, transport, { leg: this.#leg, mailboxMs, during, onRefused }).start();
  }

  /** Sends an agent the plan that it had first, once more. */
  async #replay(agents: readonly Agent[]): Promise<void> {
    const [plan] = agents[0]?.plans ?? [];
    if (plan === undefined) throw new Error('there is no plan to send again');
    const refused = this.#done.wait('refused');
    const intruder = await this.#join();
    const to = { kind: 'mailbox', name: plan.key } as const;
    await intruder.send(to, nativeEnvelope.encode(plan.envelope), { confirm: true });
    await refused;
  }

  /** Resolves when the mailbox of the agent that never came does not exist. */
  async #mailboxGone(): Promise<void> {
    const name = `agent-${NEVER.machine}`;
    const transport = await this.#join();
    const probe = { body: Buffer.from('null'), ttlMs: 1 };
    const isThere = async (): Promise<boolean> => {
      try {
        await transport.send({ kind: 'mailbox', name: mailboxOf(name) }, probe, { confirm: true, unrouted: 'fail' });
        return true;
      } catch (error) {
        if (error instanceof MessagingError && error.code === 'UNROUTABLE') return false;
        throw error;
      }
    };
    await waitFor('the mailbox to go', async () => !(await isThere()), 20_000);
    this.#options.onEvent(name, 'has no mailbox');
  }
}

function taskOf(id: number): DeploymentTask {
  const { machine, ...never } = NEVER;
  const api = APIS[id % APIS.length] ?? '';
  return { id, api, agent: `agent-${id}`, ...(id === machine ? never : OTHERS) };
}

function counted(ids: readonly number[]): ReadonlyMap<number, number> {
  return new Map(ids.map((id) => [id, ids.filter((one) => one === id).length]));
}

/** The database that the APIs share. */
class Deployments {
  readonly began = new Map<string, Set<number>>();
  readonly results = new Map<number, number>();
  readonly #onEvent: Audience['onEvent'];
  readonly #done: Milestones;
  readonly #steps = new Map<number, number>();
  readonly #pending = new Map<number, DeploymentResult>();

  constructor(onEvent: Audience['onEvent'], done: Milestones) {
    this.#onEvent = onEvent;
    this.#done = done;
  }

  /** A step that another engine told before is no news. */
  note(api: string, { task, engine, step, text }: DeploymentReport): void {
    this.began.set(engine, (this.began.get(engine) ?? new Set()).add(task));
    const steps = this.#steps.get(task) ?? 0;
    if (step <= steps) return;
    if (step > steps + 1) this.#onEvent(api, `deployment ${task} told step ${step} after ${steps}`);
    this.#steps.set(task, step);
    this.#onEvent(api, `deployment ${task} ${text}`);
    if (text.startsWith('waits')) this.#done.count('waiting');
    this.#conclude(api, task);
  }

  finish(api: string, result: DeploymentResult): void {
    const { task } = result;
    this.results.set(task, (this.results.get(task) ?? 0) + 1);
    this.#pending.set(task, result);
    this.#conclude(api, task);
  }

  /** The result comes by another way than the reports, and waits for those that were sent before it. */
  #conclude(api: string, task: number): void {
    const result = this.#pending.get(task);
    if (result === undefined || (this.#steps.get(task) ?? 0) < result.reports) return;
    this.#pending.delete(task);
    this.#onEvent(api, `deployment ${task} has ${result.status}`);
    this.#done.count('deployed');
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const url = argv[2] ?? 'memory://deploy-agents';
  await narrate('Deploy', async (audience, onUrl) => {
    onUrl(url);
    await deployAgents({ url, ...audience });
  });
}
