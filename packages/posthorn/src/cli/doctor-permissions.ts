import {
  AccessError,
  type Address,
  type Declaration,
  type Delivery,
  messageOf,
  type Source,
  type Transport,
} from '@posthorn/core';
import { examined, type Finding } from './finding.ts';

const LIMIT_MS = 10_000;
/** Should nobody be there to remove the queue in the end. */
const EXPIRES_MS = 60_000;

/** What a connection tells besides the outcomes of what is asked of it. */
export interface Witness {
  /** Why the broker reads nothing at the moment. */
  blocked: string | undefined;
  /** RabbitMQ refuses a message by closing the channel, which leaves the outcome unknown and the reason in the log. */
  refusal: AccessError | undefined;
}

/** Declares, writes and reads for real, in an exchange and a queue of its own. What it made is in `made`, to be removed. */
export async function examinePermissions(
  transport: Transport,
  name: string,
  made: Declaration[],
  witness: Witness,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const step = async (what: string, text: string, act: () => Promise<unknown>): Promise<boolean> => {
    const finding = await examined(
      what,
      LIMIT_MS,
      async () => {
        await act();
        return { step: what, verdict: 'good', text };
      },
      (error) => explained(what, error, witness),
    );
    findings.push(finding);
    return finding.verdict === 'good';
  };
  const { source, to } = placeOf(transport, name);
  const options = { group: `${name}.queue`, retention: { expiresMs: EXPIRES_MS } };
  const group = source.kind === 'topic' ? options : {};
  if (transport.features.declare) {
    const plan = transport.plan([source], group);
    const declare = async (one: Declaration): Promise<void> => {
      made.push(one);
      await transport.declare(one, 'create');
    };
    const declared = await step('configure', `may declare exchanges and queues (${name})`, async () => {
      for (const one of plan) if (one.kind !== 'binding') await declare(one);
    });
    if (!declared) return [...findings, ...['bind', 'write', 'read'].map((one) => skipped(one, 'configure'))];
    const bound = await step('bind', 'may bind queues to exchanges', async () => {
      for (const one of plan) if (one.kind === 'binding') await declare(one);
    });
    if (!bound) return [...findings, ...['write', 'read'].map((one) => skipped(one, 'bind'))];
  }
  const wrote = await step('write', 'may send, and the broker confirms', () =>
    transport.send(to, { body: Buffer.from('doctor') }, { confirm: true, timeoutMs: LIMIT_MS, unrouted: 'drop' }),
  );
  if (!wrote) return [...findings, skipped('read', 'write')];
  await step('read', 'may subscribe, and gets what was sent', async () => {
    let got = (): void => undefined;
    const received = new Promise<void>((resolve) => {
      got = resolve;
    });
    const receive = (delivery: Delivery): void => void delivery.settle('accept').then(got);
    const subscription = await transport.subscribe([source], receive, group);
    try {
      if (!transport.features.declare) await transport.send(to, { body: Buffer.from('doctor') }, { confirm: true });
      await received;
    } finally {
      await subscription.close();
    }
  });
  return findings;
}

/** Somewhere to send to and to receive from: by way of an exchange, where there are any. */
function placeOf({ features }: Transport, name: string): { readonly source: Source; readonly to: Address } {
  if (features.kinds.includes('topic') && features.kinds.includes('group'))
    return {
      source: { kind: 'topic', exchange: name, pattern: 'doctor' },
      to: { kind: 'topic', exchange: name, key: 'doctor' },
    };
  const anycast = { kind: 'anycast', exchange: name, topic: 'doctor' } as const;
  return { source: anycast, to: anycast };
}

export function explained(what: string, error: unknown, witness: Witness): Omit<Finding, 'step'> {
  const { blocked } = witness;
  if (blocked !== undefined)
    return { verdict: 'wrong', text: `the broker takes no messages: ${blocked}`, advice: blockedAdvice };
  const refusal = error instanceof AccessError ? error : witness.refusal;
  if (refusal === undefined) return { verdict: 'wrong', text: messageOf(error), advice: 'see the log of the broker' };
  const text = messageOf(refusal);
  return { verdict: 'wrong', text, advice: ADVICE[what] ?? `give the user the permission to ${what}` };
}

const ADVICE: Readonly<Record<string, string>> = {
  configure:
    'give the user the configure permission; or have somebody run posthorn topology apply, and use ?declare=none',
  bind: 'binding needs the permission to write to the queue, and to read from the exchange',
};

export const blockedAdvice: string =
  'a memory or disk alarm: free disk, drain queues, or raise vm_memory_high_watermark and disk_free_limit';

function skipped(step: string, without: string): Finding {
  return { step, verdict: 'skipped', text: `not without ${without}` };
}
