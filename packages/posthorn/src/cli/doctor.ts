import {
  AccessError,
  type Declaration,
  messageOf,
  newId,
  parseTransportUrl,
  silent,
  type TransportUrl,
} from '@posthorn/core';
import { examineBroker, examineLimits } from './doctor-broker.ts';
import { login } from './doctor-login.ts';
import { examineNetwork } from './doctor-network.ts';
import { blockedAdvice, examinePermissions, type Witness } from './doctor-permissions.ts';
import { examineRoundTrip } from './doctor-round-trip.ts';
import { examined, type Finding } from './finding.ts';
import { CONNECTING, type Command } from './help.ts';
import { interruption } from './interruption.ts';
import { ManagementApi } from './management-api.ts';
import { open } from './open.ts';
import { type CommandLine, numberOf, type Options } from './options.ts';
import { painted, printable, type Style, told } from './print.ts';
import { removeMade } from './remove-made.ts';

const API_MS = 15_000;
/** Beyond the time limits of the steps: nobody waits longer for a doctor. */
const WHOLE_MS = 60_000;
const CLOSE_MS = 3_000;
const SHAPE = 'scheme://user:password@host:port/vhost';
const CALLS = 100;
const MOST_CALLS = 10_000;
/** `tls.connect` and sockets are for these; what else there is speaks for itself. */
const NETWORKED: readonly string[] = ['rabbit', 'rabbits', 'amqp1', 'amqp1s'];

export const doctor: Command = {
  name: 'doctor',
  synopsis: '<url>',
  words: [1, 1],
  summary: 'examines a broker and the way to it, and says what to do',
  about: `Looks at one thing after the other, and says of each whether it is good (✓), to be known (!), wrong (✗) or not looked at (–), and what to do about it:

  reach         names, addresses and ports of every host of the URL
  TLS           the certificate: who signed it, for which host, until when
  login, vhost  whether the broker lets this user in
  broker        product and version, what it cannot do, and what its version is known for
  limits        heartbeats, channels, frames; memory and disk alarms
  permissions   configure, write and read, by really doing it
  round trip    calls to a server of its own through the broker, and confirmed messages, with their times

Everything that it declares bears the name posthorn-doctor-…, and is removed in the end. No step takes longer than 15 s.`,
  options: [
    ['count', `calls of the round trip; default ${CALLS}`],
    ['api', "RabbitMQ's management API, to ask for alarms: http://user:password@host:15672"],
    ...CONNECTING,
  ],
  examples: ['posthorn doctor rabbits://app:secret@broker.example/prod?ca=/etc/ssl/ca.pem'],
  exits: { 1: 'something is wrong', 130: 'interrupted' },
  run: examine,
};

async function examine({ words, options }: CommandLine): Promise<void> {
  const [url = ''] = words;
  const count = Math.ceil(numberOf('--count', options.count, MOST_CALLS) ?? CALLS);
  const { signal, code, settled } = interruption(WHOLE_MS);
  let [wrong, isEnding] = [0, false];
  const report: Report = async (findings) => {
    wrong += findings.filter(({ verdict }) => verdict === 'wrong').length;
    for (const finding of findings) await show(finding, options);
    // Between two steps, and once: what follows is the clean-up.
    if (!signal.aborted || isEnding) return;
    isEnding = true;
    throw signal.reason;
  };
  try {
    await examineAll(url, options, count, report);
  } catch (error) {
    if (!isEnding) throw error;
    process.exitCode = code();
    return;
  } finally {
    settled();
  }
  if (options.json !== true) await told({}, undefined, wrong === 0 ? '\nnothing is wrong' : `\n${wrong} wrong`);
  if (wrong > 0) process.exitCode = 1;
}

type Report = (findings: readonly Finding[]) => Promise<void>;

async function examineAll(text: string, options: Options, count: number, report: Report): Promise<void> {
  let url: TransportUrl;
  try {
    url = parseTransportUrl(text);
  } catch (error) {
    return await report([{ step: 'URL', verdict: 'wrong', text: messageOf(error), advice: SHAPE }]);
  }
  if (NETWORKED.includes(url.scheme)) {
    const network = await examineNetwork(url);
    await report(network);
    // One host that works is enough to go on with.
    const ways = network.filter(({ step }) => step.startsWith(url.scheme.endsWith('s') ? 'TLS' : 'reach'));
    if (!ways.some(({ verdict }) => verdict !== 'wrong')) return;
  }
  const witness: Witness = { blocked: undefined, refusal: undefined };
  const opening = open(text, options, {
    logger: {
      ...silent,
      warn: (fields) => {
        if ('err' in fields && fields.err instanceof AccessError) witness.refusal = fields.err;
      },
    },
    onStatus: (status) => {
      witness.blocked = status.state === 'blocked' ? status.reason : undefined;
    },
  });
  const { transport, findings } = await login(url, opening);
  if (transport === undefined) return await report(findings);
  const made: Declaration[] = [];
  const name = `posthorn-doctor-${newId().slice(0, 8)}`;
  try {
    await report(findings);
    await report(examineBroker(transport));
    await report([examineLimits(transport)]);
    if (options.api !== undefined) await report([await alarms(new ManagementApi(options.api, url.vhost ?? '/'))]);
    if (url.query['declare'] === 'check' || url.query['declare'] === 'none')
      return await report([
        {
          step: 'permissions',
          verdict: 'skipped',
          text: `nothing may be declared (declare=${url.query['declare']})`,
          advice: 'posthorn topology diff tells whether everything is there',
        },
      ]);
    const rights = await examinePermissions(transport, name, made, witness);
    await report(rights);
    if (rights.some(({ verdict }) => verdict === 'wrong')) return;
    await report(await examineRoundTrip(transport, { name, count, made, witness }));
  } finally {
    const left = await removeMade(transport, made, name);
    if (left.length > 0) await report([leftBehind(left.join(', '))]);
    if (!transport.features.declare && transport.features.durable)
      await report([leftBehind(`queues of the name ${name}, which nobody can remove by this protocol`)]);
    await transport.close({ timeoutMs: CLOSE_MS });
  }
}

function leftBehind(what: string): Finding {
  return { step: 'clean up', verdict: 'careful', text: `left behind: ${what}`, advice: 'rabbitmqctl delete_queue' };
}

async function alarms(api: ManagementApi): Promise<Finding> {
  const step = 'alarms';
  return await examined(
    step,
    API_MS,
    async () => {
      const found = await api.alarms();
      if (found.length === 0) return { step, verdict: 'good', text: 'memory and disk suffice' };
      return { step, verdict: 'wrong', text: found.join('; '), advice: blockedAdvice };
    },
    (error) => ({
      verdict: 'careful',
      text: messageOf(error),
      advice: 'check --api; its user needs the tag monitoring',
    }),
  );
}

const SIGNS: Readonly<Record<Finding['verdict'], readonly [sign: string, style: Style]>> = {
  good: ['✓', 'green'],
  careful: ['!', 'yellow'],
  wrong: ['✗', 'red'],
  skipped: ['–', 'dim'],
};
const STEP_WIDTH = 24;

async function show({ step, verdict, text, advice, figures }: Finding, { json }: Options): Promise<void> {
  if (json === true) return await told({ json }, { step, verdict, text, advice, ...figures }, '');
  const [sign, style] = SIGNS[verdict];
  const lines = [`${painted(style, sign)} ${step.padEnd(STEP_WIDTH)} ${printable(text)}`];
  if (advice !== undefined) lines.push(`  ${''.padEnd(STEP_WIDTH)} ${painted('cyan', `→ ${printable(advice)}`)}`);
  await told({}, undefined, lines.join('\n'));
}
