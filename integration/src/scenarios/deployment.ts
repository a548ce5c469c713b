import { defineMessage, hmacSha256 } from 'posthorn';
import { z } from 'zod';

/** Names of our own, on a broker that others use, too. */
export const TASKS = 'deploy-agents.tasks';
export const REPORTS = 'deploy-agents.reports';
export const RPC = 'deploy-agents.rpc';
export const mailboxOf = (agent: string): string => `deploy-agents.${agent}`;
/** What belongs to nobody any more goes by itself. */
export const RETENTION = { expiresMs: 60_000 };
/** What engines sign plans with, and agents verify. */
export const PLAN_KEY = hmacSha256({ keys: { 'engines-1': 'known to engines and agents' }, signWith: 'engines-1' });

/** How a plan comes to its agent: it waits in a mailbox, or the agent says hello and is called. */
export type Leg = 'mailbox' | 'call';

const task = z.object({
  id: z.number(),
  /** The API that gets the reports and the result. */
  api: z.string(),
  agent: z.string(),
  /** How long the engine waits for the agent. */
  patienceMs: z.number(),
  /** How long the mailbox of the agent is kept when nobody reads from it. */
  mailboxMs: z.number(),
});
const report = z.object({ task: z.number(), engine: z.string(), step: z.number(), text: z.string() });
const plan = z.object({ task: z.number(), scripts: z.string().array() });
const planResult = z.object({ task: z.number(), output: z.string() });

export const Task = defineMessage({ type: 'deployment.task', version: '1.0', payload: task });
export const Report = defineMessage({ type: 'deployment.report', version: '1.0', payload: report });
export const Plan = defineMessage({ type: 'deployment.plan', version: '1.0', payload: plan });
export const PlanResult = defineMessage({ type: 'deployment.plan-result', version: '1.0', payload: planResult });

export type DeploymentTask = z.infer<typeof task>;
export type DeploymentReport = z.infer<typeof report>;
export type ExecutionPlan = z.infer<typeof plan>;

/** What an API serves to engines. */
export interface ApiMethods {
  process_result(args: DeploymentResult): void;
}

export interface DeploymentResult {
  readonly task: number;
  readonly status: string;
  /** How many reports came before it: a call may overtake messages. */
  readonly reports: number;
}

/** What an engine serves to agents that are called. */
export interface EngineMethods {
  hello(args: { readonly agent: string }): void;
}

/** What such an agent serves to engines. */
export interface AgentMethods {
  run(args: ExecutionPlan): string;
}
