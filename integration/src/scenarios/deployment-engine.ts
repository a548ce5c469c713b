import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Context,
  concurrent,
  Mailbox,
  Publisher,
  RPCClient,
  RPCServer,
  Subscriber,
  type Transport,
} from 'posthorn';
import { type Deferred, deferred } from '../deferred.ts';
import {
  type AgentMethods,
  type ApiMethods,
  type DeploymentTask,
  type Leg,
  mailboxOf,
  PLAN_KEY,
  Plan,
  PlanResult,
  REPORTS,
  RETENTION,
  Report,
  RPC,
  TASKS,
  Task,
} from './deployment.ts';

/** Of each engine. */
const TASKS_AT_ONCE = 3;

/**
 * Does the tasks that it shares with other engines: gets each plan to its agent, waits for what comes of it, and tells the
 * API that asked. A task is settled when the API has its result, so the tasks of an engine that dies go to another.
 */
export class Engine {
  readonly #name: string;
  readonly #transport: Transport;
  readonly #leg: Leg;
  readonly #reports: Publisher;
  readonly #api: RPCClient<ApiMethods>;
  readonly #agents: RPCClient<AgentMethods>;
  /** Outputs of plans, by their tasks. */
  readonly #outputs = new Map<number, Deferred<string>>();
  readonly #hellos = new Map<string, Deferred<string>>();

  constructor(name: string, transport: Transport, leg: Leg) {
    this.#name = name;
    this.#transport = transport;
    this.#leg = leg;
    this.#reports = new Publisher(transport, { exchange: REPORTS, publisherId: name });
    this.#api = new RPCClient<ApiMethods>(transport, { target: { exchange: RPC, topic: 'api' }, timeoutMs: 15_000 });
    this.#agents = new RPCClient<AgentMethods>(transport, { target: { exchange: RPC, topic: 'agent' } });
  }

  async start(): Promise<this> {
    const transport = this.#transport;
    const hello = (_: Context, { agent }: { readonly agent: string }): void => this.#helloOf(agent).resolve(agent);
    await new RPCServer(transport, {
      target: { exchange: RPC, topic: 'engine', server: this.#name },
      endpoints: [{ hello }],
    }).start();
    await new Subscriber(transport, { mailbox: mailboxOf(this.#name), retention: RETENTION })
      .on(PlanResult, ({ task, output }) => this.#outputs.get(task)?.resolve(output))
      .start();
    await new Subscriber(transport, {
      exchange: TASKS,
      group: `${TASKS}.engines`,
      retention: RETENTION,
      executor: concurrent(TASKS_AT_ONCE),
      prefetch: TASKS_AT_ONCE,
    })
      .on(Task, (task) => this.#deploy(task))
      .start();
    return this;
  }

  async #deploy(task: DeploymentTask): Promise<void> {
    const { id, api } = task;
    let reports = 0;
    const report = async (text: string): Promise<void> => {
      const payload = { task: id, engine: this.#name, step: ++reports, text };
      await this.#reports.publish(Report, payload, { key: `${api}.${id}` });
    };
    await report('has a plan');
    const output = await (this.#leg === 'mailbox' ? this.#send(task, report) : this.#call(task, report));
    await report(output === undefined ? 'gives up' : `is done: ${output}`);
    const status = output === undefined ? 'failed: the agent does not answer' : 'finished';
    await this.#api.prepare({ server: api }).call({}, 'process_result', { task: id, status, reports });
  }

  /** Sends the plan, whether the agent is there or not. */
  async #send(task: DeploymentTask, report: (text: string) => Promise<void>): Promise<string | undefined> {
    const { id, agent, patienceMs, mailboxMs } = task;
    const output = deferred<string>();
    this.#outputs.set(id, output);
    const options = { publisherId: this.#name, signer: PLAN_KEY, expiresMs: mailboxMs };
    const mailbox = new Mailbox(this.#transport, { name: mailboxOf(agent), ...options });
    try {
      await mailbox.publish(Plan, planOf(task), { replyTo: mailboxOf(this.#name) });
      await report('waits for the agent');
      return await within(output.promise, patienceMs);
    } finally {
      this.#outputs.delete(id);
    }
  }

  /** Calls the agent once it said hello. */
  async #call(task: DeploymentTask, report: (text: string) => Promise<void>): Promise<string | undefined> {
    const { agent, patienceMs } = task;
    await report('waits for the agent');
    const hello = await within(this.#helloOf(agent).promise, patienceMs);
    return hello && (await this.#agents.prepare({ server: hello }).call({}, 'run', planOf(task)));
  }

  #helloOf(agent: string): Deferred<string> {
    const hello = this.#hellos.get(agent) ?? deferred<string>();
    this.#hellos.set(agent, hello);
    return hello;
  }
}

function planOf({ id, agent }: DeploymentTask): { readonly task: number; readonly scripts: string[] } {
  return { task: id, scripts: [`prepare ${agent}`, 'install web'] };
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return await Promise.race([promise, sleep(ms, undefined, { ref: false })]);
}
