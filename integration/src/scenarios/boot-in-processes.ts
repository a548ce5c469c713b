/**
 * The story of boot-an-instance.ts with each service in a process of its own. They talk through `posthorn broker` alone.
 *
 *   node boot-in-processes.js
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { argv } from 'node:process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { messageOf, type Transport } from 'posthorn';
import { partNames, startPart } from './boot-an-instance.ts';
import { type Audience, type Hop, narrate } from './hop-printer.ts';
import { Milestones, type Progress } from './milestones.ts';

/** What a service's process tells ours, and ours the one of the API. */
type Note =
  | { readonly ready: true }
  | { readonly hop: Hop }
  | { readonly event: readonly [who: string, what: string] }
  | { readonly reached: string }
  | { readonly counted: string }
  | { readonly failed: string };

const program = fileURLToPath(import.meta.url);

async function bootInProcesses({ onHop, onEvent }: Audience, onUrl: (url: string) => void): Promise<void> {
  const broker = new Part('the broker', spawnBroker());
  const parts: Part[] = [];
  // Services notice that we are gone, the broker does not.
  process.once('exit', () => broker.child.kill());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  try {
    const url = await Promise.race([urlOf(broker.child), broker.lost]);
    onUrl(url);
    const start = async (name: string): Promise<void> => {
      const part = new Part(name, fork(program, ['--part', name, url]));
      parts.push(part);
      const ready = part.hear((note) => {
        if ('hop' in note) onHop(note.hop);
        else if ('event' in note) onEvent(...note.event);
        // The last to start is the API, which waits for what the others reach.
        else parts.at(-1)?.child.send(note, () => {});
      });
      await Promise.race([ready, broker.lost, ...parts.map(({ lost }) => lost)]);
    };
    await Promise.all(partNames.slice(0, -1).map(start));
    // It is ready when the story is told.
    await start(partNames.at(-1) ?? '');
    for (const part of parts.reverse()) await part.end(() => part.child.disconnect());
    await broker.end(() => broker.child.kill('SIGTERM'));
  } finally {
    for (const { child } of [...parts, broker]) child.kill('SIGKILL');
  }
}

/** A child process. */
class Part {
  readonly child: ChildProcess;
  /** Rejects when it ends before it was asked to. */
  readonly lost: Promise<never>;
  readonly #name: string;
  readonly #exited: Promise<string>;
  #ending = false;

  constructor(name: string, child: ChildProcess) {
    this.child = child;
    this.#name = name;
    this.#exited = once(child, 'exit').then(([code, signal]) => signal ?? `code ${code}`, messageOf);
    this.lost = this.#exited.then((how) => {
      if (!this.#ending) throw new Error(`${name} ended early: ${how}`);
      return new Promise<never>(() => {});
    });
    this.lost.catch(() => {});
  }

  /** Resolves when it is ready. */
  hear(onNote: (note: Note) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.child.on('message', (note: Note) => {
        if ('ready' in note) resolve();
        else if ('failed' in note) reject(new Error(`${this.#name}: ${note.failed}`));
        else onNote(note);
      });
    });
  }

  /** Asks it to end, and waits until it did, in good order. */
  async end(ask: () => void): Promise<void> {
    this.#ending = true;
    ask();
    const how = await this.#exited;
    if (how !== 'code 0') throw new Error(`${this.#name} ended badly: ${how}`);
  }
}

function spawnBroker(): ChildProcess {
  const library = import.meta.resolve('posthorn');
  const command = fileURLToPath(new URL(`cli${extname(library)}`, library));
  const args = [...process.execArgv, command, 'broker', '--port', '0'];
  return spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function urlOf({ stdout }: ChildProcess): Promise<string> {
  if (stdout === null) throw new Error('the broker has no output');
  const [line] = await once(createInterface({ input: stdout }), 'line');
  return line;
}

/** The other end: one service, until the process that started it is gone. */
async function playPart(name: string, url: string): Promise<void> {
  const tell = (note: Note): void => void process.send?.(note);
  const audience: Audience = { onHop: (hop) => tell({ hop }), onEvent: (...event) => tell({ event }) };
  const milestones = new Milestones();
  const progress: Progress = {
    reach: (reached) => tell({ reached }),
    count: (counted) => tell({ counted }),
  };
  process.on('message', (note: Note) => {
    if ('reached' in note) milestones.reach(note.reached);
    else if ('counted' in note) milestones.count(note.counted);
  });
  const ended = once(process, 'disconnect');
  let transport: Transport | undefined;
  try {
    await startPart(name, { url, ...audience }, name === 'api' ? milestones : progress, (opened) => {
      transport = opened;
    });
    tell({ ready: true });
    await ended;
  } catch (error) {
    tell({ failed: messageOf(error) });
    process.exitCode = 1;
  } finally {
    await transport?.close({ timeoutMs: 5_000 });
    if (process.connected) process.disconnect();
  }
}

const [flag, name = '', url = ''] = argv.slice(2);
if (flag === '--part') await playPart(name, url);
else await narrate('Boot an instance, in processes', bootInProcesses);
