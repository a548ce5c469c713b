import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Broker, serveBroker } from '@posthorn/amqp1';
import { newId, type Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { propagation, reportTelemetry } from '@posthorn/telemetry';
import { expect } from 'chai';
import { type RunningProgram, runProgram } from '../src/echo-example.ts';
import { findExecutable } from '../src/executable.ts';
import { type Place, places } from '../src/places.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { partNames, startPart } from '../src/scenarios/boot-an-instance.ts';
import { Milestones } from '../src/scenarios/milestones.ts';
import { skip } from '../src/skip.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { TiedProcess } from '../src/tied-process.ts';
import { waitFor } from '../src/wait-for.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));
const module = fileURLToPath(new URL('./programs/telling-endpoints.ts', import.meta.url));

interface PlaceLoad {
  readonly direction: string;
  readonly operation: string;
  readonly exchange: string;
  readonly topic: string;
  readonly name: string;
  readonly perSecond: number;
  readonly failedPerSecond: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Snapshot {
  readonly processes: readonly { readonly service: string; readonly transport: { readonly health: string } }[];
  readonly places: readonly PlaceLoad[];
}

describe('posthorn top and trace', function () {
  this.timeout(60_000);
  const programs: RunningProgram[] = [];
  const run = async (...args: readonly string[]): Promise<RunningProgram> => {
    const program = await runProgram([command], args);
    programs.push(program);
    return program;
  };
  /** Runs it to its end, and expects this one. */
  const done = async (args: readonly string[], end = 'code 0'): Promise<RunningProgram> => {
    const program = await run(...args);
    expect(await program.process.wait(), program.process.tail.join('\n')).to.equal(end);
    return program;
  };
  const told = ({ process }: RunningProgram, text: string): Promise<unknown> =>
    waitFor(`"${text}"`, () => process.tail.some((line) => line.includes(text)), 30_000);

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.process.stop();
  });

  describe('over a broker of their own', () => {
    let broker: Broker;

    before(async () => {
      broker = await serveBroker({ port: 0 });
    });

    after(() => broker?.close());

    it('top says what to do where nobody reports', async () => {
      const { lines } = await done(['top', broker.url, '--once']);
      expect(lines[0]).to.match(/^posthorn top {2}\S+ .* 0 services in 0 processes/);
      expect(lines.join(' ')).to.include('services report when they call reportTelemetry(transport)');
    });

    it('trace fails where no step is told within its time', async () => {
      const { process } = await done(['trace', broker.url, '--id', newId(), '--timeout', '100ms'], 'code 1');
      expect(process.tail.join('\n')).to.include('no step was told: they do when they call reportTelemetry(transport)');
    });

    it('top draws on a terminal, changes the order at s, ends at q, and leaves the screen as it was', async function () {
      const script = process.platform === 'linux' ? await findExecutable('script') : undefined;
      if (script === undefined) skip(this, 'top on a terminal', 'no script of util-linux, which makes terminals');
      const transport = await connectQuietly(broker.url);
      try {
        reportTelemetry(transport, { service: 'drawn' });
        const node = [process.execPath, '--conditions=@posthorn/source', '--import=tsx', command, 'top', broker.url];
        const shell = `stty rows 30 cols 120; ${node.map((word) => `'${word}'`).join(' ')}`;
        const lines: string[] = [];
        const onLine = (line: string): void => void lines.push(line);
        const terminal = await TiedProcess.start(script, ['-qec', shell, '/dev/null'], { onLine });
        const shown = (text: string): Promise<unknown> => {
          const before = lines.length;
          return waitFor(`"${text}"`, () => lines.slice(before).some((line) => line.includes(text)), 30_000);
        };
        try {
          await shown('drawn');
          // The last line of a screen has no end: the one of the next screen follows it.
          const sorted = shown('sorted by errors');
          terminal.write('s');
          await sorted;
          terminal.write('q');
          expect(await terminal.wait()).to.equal('code 0');
          expect(lines[0]).to.include('\x1b[?1049h');
          expect(lines.at(-1)?.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l'), lines.at(-1)).to.equal(true);
        } finally {
          await terminal.stop();
        }
      } finally {
        await transport.close();
      }
    });
  });

  for (const { name, open } of places().filter((place) => place.name !== 'memory'))
    describe(`over ${name}`, () => {
      let place: Place;
      const transports: Transport[] = [];
      const connect = async (): Promise<Transport> => {
        const transport = await connectQuietly(place.url);
        transports.push(transport);
        return transport;
      };

      before(async function () {
        place = await open(this);
      });

      afterEach(async () => {
        for (const transport of transports.splice(0).reverse()) await transport.close();
      });

      after(async () => {
        await place?.[Symbol.asyncDispose]();
      });

      it('top tells rates, latencies and errors by topic and method, of our code and of posthorn serve', async () => {
        const topic = newId();
        const serving = await run('serve', place.url, topic, 'one', module, '--telemetry');
        await waitFor('the server', () => serving.lines.length > 0);
        const transport = await connect();
        reportTelemetry(transport, { service: 'caller' });
        const client = new RPCClient(transport, { target: { topic }, timeoutMs: 10_000 });
        const top = await run('top', place.url, '--json');
        const snapshots = (): readonly Snapshot[] => top.lines.map((line) => JSON.parse(line));
        const placed = (direction: string, method: string): PlaceLoad | undefined =>
          snapshots()
            .flatMap(({ places: all }) => all)
            .findLast((one) => one.direction === direction && one.name === method && one.perSecond > 5);
        let calls = 0;
        // Ten calls in a turn and a failing one, one turn after the other, for as long as it takes.
        const load = (async () => {
          while (placed('send', 'fail') === undefined || placed('process', 'fail') === undefined) {
            await Promise.all(Array.from({ length: 10 }, () => client.call({}, 'nap', {})));
            await client.call({}, 'fail', {}).catch(() => undefined);
            calls += 11;
          }
        })();
        await load;
        expect(calls).to.be.greaterThan(0);
        const [sent, served] = [placed('send', 'nap'), placed('process', 'nap')];
        expect(sent).to.deep.include({ operation: 'call', exchange: 'posthorn', topic, errors: {} });
        expect(served).to.deep.include({ operation: 'serve', exchange: 'posthorn', topic, errors: {} });
        // Each of them naps for 20 ms.
        expect(served?.p50Ms).to.be.within(15, 200);
        expect(sent?.p99Ms).to.be.at.least(served?.p50Ms ?? 0);
        const [failing, failed] = [placed('send', 'fail'), placed('process', 'fail')];
        expect(Object.keys(failing?.errors ?? {})).to.deep.equal(['REMOTE']);
        expect(Object.keys(failed?.errors ?? {})).to.deep.equal(['RangeError']);
        expect(failed?.failedPerSecond).to.equal(failed?.perSecond);
        const services = snapshots()
          .at(-1)
          ?.processes.map(({ service, transport: { health } }) => [service, health]);
        expect(services).to.have.deep.members([
          ['caller', 'healthy'],
          [topic, 'healthy'],
        ]);
      });

      it('trace draws a call through two services, its failure, and prints the result', async () => {
        const [first, second] = [newId(), newId()];
        const [near, far] = [await connect(), await connect()];
        reportTelemetry(near, { service: 'near' });
        reportTelemetry(far, { service: 'far' });
        const client = new RPCClient(near, { target: { topic: second } });
        const pass = (method: string) => () => client.call({}, method, {});
        const serve = async (transport: Transport, topic: string, endpoint: object): Promise<void> => {
          await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
        };
        await serve(near, first, { ask: pass('ask'), fail: pass('fail') });
        const fail = (): never => {
          throw new RangeError('too far');
        };
        await serve(far, second, { ask: () => 'answered', fail });

        const { lines } = await done(['trace', place.url, 'call', first, 'ask']);
        expect(lines[0]?.trim().split(/ {2,}/)).to.deep.equal(['posthorn-trace', 'near', 'far']);
        const order = ['├─ call ask ─▶', '├─ call ask ─▶', '◀┄', '◀┄'];
        const drawn = lines.filter((line) => line.trimStart().startsWith('+'));
        expect(drawn).to.have.length(4);
        for (const [index, part] of order.entries())
          expect(drawn[index]).to.match(new RegExp(part.replaceAll('─', '─+')));
        expect(lines.at(-1)).to.equal('"answered"');

        const failed = await done(['trace', place.url, 'call', first, 'fail'], 'code 1');
        expect(failed.lines.filter((line) => line.includes('✗'))).to.have.length(2);
        expect(failed.process.tail.join('\n')).to.match(/posthorn: REMOTE: .*too far/);
      });

      it('trace follows an id and draws the boot of an instance, its services in the order of their parts', async () => {
        const folder = makeTempFolder('trace');
        const [svg, html] = [join(folder, 'boot.svg'), join(folder, 'boot.html')];
        const traceId = newId();
        const following = await run('trace', place.url, '--id', traceId, '--wait', '2s', '--svg', svg, '--html', html);
        await told(following, `trace ${traceId}`);
        using traces = propagation({ steps: 'sampled' });
        const milestones = new Milestones();
        for (const part of partNames) {
          const opened = (transport: Transport): void => {
            transports.push(transport);
            reportTelemetry(transport, { service: part });
          };
          const start = (): Promise<void> =>
            startPart(part, { url: place.url, onHop: () => {}, onEvent: () => {} }, milestones, opened);
          const context = { traceId, spanId: '00f067aa0ba902b7', sampled: true };
          await (part === 'api' ? traces.run(context, start) : start());
        }
        expect(await following.process.wait(), following.process.tail.join('\n')).to.equal('code 0');
        const [heads = ''] = following.lines;
        const participants = heads
          .trim()
          .split(/ {2,}/)
          .map((label) => label.replace(/-\d$/, ''));
        const firsts = [...new Set(participants)].filter((label) => !label.startsWith('host1'));
        expect(firsts.slice(0, 4)).to.deep.equal(['api', 'conductor', 'scheduler', 'host2']);
        expect(firsts.slice(4)).to.have.members(['collector', 'dashboard', 'billing']);
        const text = following.lines.join('\n');
        const at = (part: string): number => following.lines.findIndex((line) => line.includes(part));
        const causes = ['cast build_instances', 'call select_destinations', 'cast build_and_run_instance'];
        const events = [
          'create.start',
          'create.end',
          'publish counter',
          'call reboot_instance',
          'fanout refresh_images',
        ];
        const rows = [...causes, ...events].map(at);
        expect(rows, text).to.deep.equal(rows.toSorted((a, b) => a - b));
        expect(rows[0], text).to.be.greaterThan(0);
        expect(text).to.not.include('not reporting');
        for (const file of [svg, html]) expect(readFileSync(file, 'utf8')).to.include('>cast build_instances');
      });
    });
});
