import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { median, rounded } from '../figures.ts';
import { type Kind, PeerProcess, program } from '../peer-process.ts';
import { isMemory, placeOf } from '../place.ts';
import type { Scenario } from '../scenario.ts';
import { twinKind } from '../side.ts';
import type { StartUp } from '../start-up/start-up.ts';
import { sweep } from '../sweep.ts';

/** From the start of a process to its first answer. */
export const connect: Scenario = {
  name: 'connect',
  about: 'from the start of a process to the answer of its first call',
  schemes: ['rabbit', 'memory'],
  columns: [
    { key: 'importMs', title: 'import ms', digits: 0 },
    { key: 'twinImportMs', title: 'twin', digits: 0 },
    { key: 'connectMs', title: 'connect ms', digits: 0 },
    { key: 'twinConnectMs', title: 'twin', digits: 0 },
    { key: 'firstCallMs', title: 'first call ms', digits: 1 },
    { key: 'twinFirstCallMs', title: 'twin', digits: 1 },
    { key: 'totalMs', title: 'in all ms', digits: 0 },
    { key: 'twinTotalMs', title: 'twin', digits: 0 },
  ],
  notes: ['In all: since the process was started, Node’s own start included.'],
  async run({ url, slices }, watcher) {
    const library = twinKind(url);
    const ours: StartUp[] = [];
    const theirs: StartUp[] = [];
    await using posthorn = await Opposite.start('posthorn', url);
    await using twin = library && (await Opposite.start(library, url));
    watcher.begin?.({ broker: twin?.broker, lines: [`a process for each sample; medians of ${slices}`] });
    for (let turn = 0; turn < slices; turn++) {
      ours.push(await startUp('posthorn', url, posthorn.topic));
      if (twin && library) theirs.push(await startUp(library, url, twin.topic));
      watcher.progress?.(turn + 1, slices, 'connect');
    }
    const of = (samples: readonly StartUp[], figure: keyof StartUp): number | null =>
      samples.length === 0 ? null : rounded(median(samples.map((sample) => sample[figure])), 1);
    watcher.row({
      scenario: 'connect',
      transport: placeOf(url).scheme,
      importMs: of(ours, 'importMs'),
      twinImportMs: of(theirs, 'importMs'),
      connectMs: of(ours, 'connectMs'),
      twinConnectMs: of(theirs, 'connectMs'),
      firstCallMs: of(ours, 'firstCallMs'),
      twinFirstCallMs: of(theirs, 'firstCallMs'),
      totalMs: of(ours, 'totalMs'),
      twinTotalMs: of(theirs, 'totalMs'),
    });
  },
};

/** The server that is called. Over memory each sample has its own. */
class Opposite implements AsyncDisposable {
  readonly topic = `bench-${randomUUID()}`;
  readonly #url: string;
  #server: PeerProcess | undefined;

  private constructor(url: string) {
    this.#url = url;
  }

  static async start(kind: Kind, url: string): Promise<Opposite> {
    const opposite = new Opposite(url);
    if (!isMemory(url))
      opposite.#server = await PeerProcess.start(kind, { role: 'server', url, topic: opposite.topic });
    return opposite;
  }

  get broker(): string | undefined {
    return this.#server?.broker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.stop();
    await sweep(this.#url, this.topic);
  }
}

async function startUp(kind: Kind, url: string, topic: string): Promise<StartUp> {
  const args = [...process.execArgv, program(`start-up/${kind}`), url, topic];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as StartUp;
}
