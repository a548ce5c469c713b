import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { stderr, stdout } from 'node:process';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import type { Transport } from '@posthorn/core';
import { stringifyPythonJson } from '@posthorn/oslo';
import { RPCClient } from '@posthorn/rpc';
import { propagation, reportTelemetry, SPANS, type SpanRecord, spanKey, type TraceContext } from '@posthorn/telemetry';
import { CONNECTING, type Command } from './help.ts';
import { open, stopped } from './open.ts';
import { type CommandLine, duration, type Options, objectOf, targetOf } from './options.ts';
import { painted, printed } from './print.ts';
import { sequenceOf } from './sequence.ts';
import { sequencePage, sequenceSvg } from './sequence-svg.ts';
import { sequenceText } from './sequence-text.ts';
import { type Feed, onSpans } from './telemetry-feed.ts';
import { UsageError } from './usage.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
/** Nothing more comes where nothing came for so long. */
const QUIET_MS = 1_000;
const MOST_STEPS = 2_000;
/** Where there is no terminal, nobody counts columns. */
const COLUMNS = 240;
const FORM = /^[0-9a-f]{32}$/;

export const trace: Command = {
  name: 'trace',
  synopsis: '<url> [call|cast <topic>[@server] <method> [json-args]]',
  words: [1, 5],
  summary: 'follows one request through all services, as a sequence diagram',
  about:
    'Sends the request as the first step of a new trace, waits until no service tells a further step, and draws who sent what to whom, how long that took and what failed. Without a request it follows the trace with the id; without an id, the next sampled one that comes by.\n\nServices tell their steps when their code calls reportTelemetry(transport), or when they run as posthorn serve --telemetry. With --json: one line with the trace, its steps and the result.',
  options: [
    'exchange',
    'namespace',
    'target-version',
    ['timeout', 'for the answer, and for a trace to come by; default 60s'],
    ['wait', 'for a further step; default 1s'],
    'context',
    'id',
    'svg',
    'html',
    ...CONNECTING,
  ],
  examples: [
    `posthorn trace rabbit://localhost call conductor boot '{"instance": 7}' --svg boot.svg`,
    'posthorn trace rabbit://localhost --id 0af7651916cd43dd8448eb211c80319c --html trace.html',
  ],
  run: follow,
};

type Ask = (transport: Transport) => Promise<unknown>;

async function follow({ words, options }: CommandLine): Promise<void> {
  const [url = '', ...request] = words;
  const waits = {
    timeoutMs: duration('--timeout', options.timeout) ?? DEFAULT_TIMEOUT_MS,
    quietMs: duration('--wait', options.wait) ?? QUIET_MS,
  };
  const ask = request.length === 0 ? undefined : askerOf(request, options, waits.timeoutMs);
  if (ask !== undefined && options.id !== undefined) throw new UsageError('trace: either --id or a request, not both');
  if (options.id !== undefined && !FORM.test(options.id))
    throw new UsageError('--id: expected 32 lower-case hexadecimal digits');
  const traceId = ask === undefined ? options.id : randomBytes(16).toString('hex');
  // Before whoever reports, so that it finds the trace in the headers.
  using traces = propagation();
  const transport = await open(url, options);
  try {
    const steps = new Steps(traceId);
    await using feed = await onSpans(transport, traceId === undefined ? SPANS : spanKey(traceId), steps.take);
    stderr.write(`${traceId === undefined ? 'waiting for a sampled trace' : `trace ${traceId}`}\n`);
    const outcome =
      ask === undefined || traceId === undefined
        ? undefined
        : await asked(transport, () => traces.run(firstOf(traceId), () => ask(transport)));
    await quiet(steps, feed, outcome === undefined ? waits : { ...waits, timeoutMs: waits.quietMs });
    await show(steps, outcome, options);
    if (outcome !== undefined && 'error' in outcome) throw outcome.error;
  } finally {
    await transport.close();
  }
}

function firstOf(traceId: string): TraceContext {
  return { traceId, spanId: randomBytes(8).toString('hex'), sampled: true };
}

/** @throws {UsageError} */
function askerOf([verb, address, method, args, ...more]: readonly string[], options: Options, timeoutMs: number): Ask {
  if ((verb !== 'call' && verb !== 'cast') || address === undefined || method === undefined || more.length > 0)
    throw new UsageError('trace: expected call or cast, a topic, a method and perhaps arguments');
  const target = targetOf(address, options);
  const context = objectOf('--context', options.context ?? '{}');
  const named = objectOf('the arguments', args ?? '{}');
  return async (transport) => {
    const client = new RPCClient(transport, { target, timeoutMs, unrouted: 'fail' });
    return await client[verb](context, method, named);
  };
}

type Outcome = { readonly result: unknown } | { readonly error: unknown };

/** Asks while our own steps are told like everybody's. */
async function asked(transport: Transport, ask: () => Promise<unknown>): Promise<Outcome> {
  await using _telemetry = reportTelemetry(transport, { service: 'posthorn-trace' });
  try {
    return { result: await ask() };
  } catch (error) {
    return { error };
  }
}

/** The steps of one trace: the one with the id, or the first that comes. */
class Steps {
  readonly all: SpanRecord[] = [];
  traceId: string | undefined;

  constructor(traceId: string | undefined) {
    this.traceId = traceId;
  }

  readonly take = (span: SpanRecord): void => {
    this.traceId ??= span.traceId;
    if (span.traceId !== this.traceId || this.all.length >= MOST_STEPS) return;
    this.all.push(span);
  };
}

interface Waits {
  /** For the first step. */
  readonly timeoutMs: number;
  /** For each further one. */
  readonly quietMs: number;
}

/** Resolves when no further step came for a while, or somebody wants to see what there is. */
async function quiet(steps: Steps, { ended }: Feed, { timeoutMs, quietMs }: Waits): Promise<void> {
  const end = new AbortController();
  const { signal } = end;
  void stopped().then(() => end.abort());
  void ended.then(() => end.abort());
  let known = steps.all.length;
  let leftMs = known === 0 ? timeoutMs : quietMs;
  // In slices, so that a stall of this process, which hears nothing meanwhile, counts as one of them.
  while (leftMs > 0 && !signal.aborted) {
    const sliceMs = Math.min(leftMs, 50);
    await pause(sliceMs, undefined, { signal }).catch(() => undefined);
    await turn(); // in which sockets are read
    leftMs = steps.all.length === known ? leftMs - sliceMs : quietMs;
    known = steps.all.length;
  }
}

async function show(steps: Steps, outcome: Outcome | undefined, { json, svg, html }: Options): Promise<void> {
  const { traceId, all } = steps;
  if (traceId === undefined || all.length === 0) throw new Error(`no step was told: ${HINT}`);
  const sequence = sequenceOf(traceId, all);
  if (svg !== undefined) await writeFile(svg, sequenceSvg(sequence));
  if (html !== undefined) await writeFile(html, sequencePage(sequence));
  const result = outcome !== undefined && 'result' in outcome ? { result: outcome.result } : {};
  if (json === true) return await printed(stringifyPythonJson({ traceId, ...result, steps: all }));
  const { columns = COLUMNS } = stdout;
  await printed(sequenceText(sequence, { columns, paint: painted }));
  if (result.result !== undefined) await printed(stringifyPythonJson(result.result));
  if (all.every(({ service }) => service === 'posthorn-trace')) stderr.write(`no service told a step: ${HINT}\n`);
}

const HINT = 'they do when they call reportTelemetry(transport), or run as posthorn serve --telemetry';
