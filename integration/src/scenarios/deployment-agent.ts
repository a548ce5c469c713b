import {
  type Context,
  Mailbox,
  type ReceivedMessage,
  type RefusalReason,
  RPCClient,
  RPCServer,
  Subscriber,
  serial,
  type Transport,
} from 'posthorn';
import {
  type EngineMethods,
  type ExecutionPlan,
  type Leg,
  mailboxOf,
  PLAN_KEY,
  Plan,
  PlanResult,
  RETENTION,
  RPC,
} from './deployment.ts';

export interface AgentOptions {
  readonly leg: Leg;
  readonly mailboxMs: number;
  /** Happens in the middle of each plan. */
  readonly during: () => Promise<void>;
  readonly onRefused: (reason: RefusalReason) => void;
}

/** Does what engines plan for its machine, once each, however often the plan comes. */
export class Agent {
  readonly name: string;
  /** The plans that came, as they came. */
  readonly plans: ReceivedMessage<ExecutionPlan>[] = [];
  /** The tasks whose plans it ran. */
  readonly ran: number[] = [];
  readonly #transport: Transport;
  readonly #options: AgentOptions;
  /** What came of the plans, by their tasks. */
  readonly #outputs = new Map<number, string>();

  constructor(name: string, transport: Transport, options: AgentOptions) {
    this.name = name;
    this.#transport = transport;
    this.#options = options;
  }

  async start(): Promise<this> {
    if (this.#options.leg === 'mailbox') await this.#read();
    else await this.#serve();
    return this;
  }

  async #read(): Promise<void> {
    const { mailboxMs, onRefused } = this.#options;
    const reader = new Subscriber(this.#transport, {
      mailbox: mailboxOf(this.name),
      retention: { expiresMs: mailboxMs },
      verify: { verifier: PLAN_KEY },
      executor: serial(),
      onRefused: ({ reason }) => onRefused(reason),
    });
    reader.on(Plan, async (plan, message) => {
      this.plans.push(message);
      const output = await this.#run(plan);
      const answers = { name: message.replyTo ?? '', publisherId: this.name, ...RETENTION };
      await new Mailbox(this.#transport, answers).publish(PlanResult, { task: plan.task, output });
    });
    await reader.start();
  }

  async #serve(): Promise<void> {
    const run = (_: Context, plan: ExecutionPlan): Promise<string> => this.#run(plan);
    await new RPCServer(this.#transport, {
      target: { exchange: RPC, topic: 'agent', server: this.name },
      endpoints: [{ run }],
      executor: serial(),
    }).start();
    const engines = new RPCClient<EngineMethods>(this.#transport, { target: { exchange: RPC, topic: 'engine' } });
    await engines.fanout({}, 'hello', { agent: this.name });
  }

  async #run({ task, scripts }: ExecutionPlan): Promise<string> {
    const before = this.#outputs.get(task);
    if (before !== undefined) return before;
    this.ran.push(task);
    await this.#options.during();
    const output = scripts.map((script) => `${script}: ok`).join(', ');
    this.#outputs.set(task, output);
    return output;
  }
}
