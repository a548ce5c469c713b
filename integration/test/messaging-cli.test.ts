import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeadLetters, newId, serial, type Transport } from '@posthorn/core';
import { hmacSha256, Publisher, Subscriber } from '@posthorn/messaging';
import { expect } from 'chai';
import { type RunningProgram, runProgram } from '../src/echo-example.ts';
import { type Place, places } from '../src/places.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { TiedProcess } from '../src/tied-process.ts';
import { waitFor } from '../src/wait-for.ts';

const command = fileURLToPath(new URL('../../packages/posthorn/src/cli.ts', import.meta.url));
const SECRET = 'correct horse battery staple';

type Line = Readonly<Record<string, unknown>>;

const parsed = (lines: readonly string[]): Line[] => lines.map((line) => JSON.parse(line));

describe('posthorn publish, subscribe and dlq', function () {
  this.timeout(60_000);
  const programs: RunningProgram[] = [];
  const run = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<RunningProgram> => {
    const program = await runProgram([command], args, env);
    programs.push(program);
    return program;
  };
  /** Runs it to its end, and expects this one. */
  const done = async (args: readonly string[], end = 'code 0'): Promise<RunningProgram> => {
    const program = await run(args);
    expect(await program.process.wait(), program.process.tail.join('\n')).to.equal(end);
    return program;
  };
  const told = ({ process }: RunningProgram, text: string): Promise<unknown> =>
    waitFor(`"${text}"`, () => process.tail.some((line) => line.includes(text)), 30_000);
  const subscribe = async (
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<RunningProgram> => {
    const program = await run(['subscribe', ...args], env);
    await told(program, 'listening to ');
    return program;
  };
  /** So many messages, once they came. */
  const heard = async ({ lines }: RunningProgram, count: number): Promise<Line[]> => {
    await waitFor(`${count} messages`, () => lines.length >= count);
    return parsed(lines);
  };
  const stop = async (program: RunningProgram, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    program.process.signal(signal);
    expect(await program.process.wait()).to.equal('code 0');
  };

  afterEach(async () => {
    for (const program of programs.splice(0)) await program.process.stop();
  });

  for (const { name, open } of places().filter((place) => place.name !== 'memory'))
    describe(`over ${name}`, () => {
      let place: Place;
      let transport: Transport;
      let exchange: string;
      const publisher = (): Publisher => new Publisher(transport, { exchange, publisherId: 'test' });

      before(async function () {
        place = await open(this);
        transport = await connectQuietly(place.url);
      });

      beforeEach(() => {
        exchange = newId();
      });

      after(async () => {
        await transport?.close();
        await place?.[Symbol.asyncDispose]();
      });

      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        it(`prints a line of JSON for what was published, and ends well at ${signal}`, async () => {
          const listening = await subscribe([place.url, exchange, 'disk.#']);
          const args = ['--type', 'disk.usage', '--type-version', '1.3', '--publisher-id', 'host1'];
          const { lines } = await done(['publish', place.url, exchange, 'disk.sda', '{"free":[7,"é\\n✓"]}', ...args]);
          const [result] = parsed(lines);
          expect(result).to.have.all.keys('status', 'messageId').and.to.include({ status: 'confirmed' });
          const [message] = await heard(listening, 1);
          expect(new Date(String(message?.['timestamp'])).getTime()).to.be.closeTo(Date.now(), 30_000);
          const { timestamp: _, ...rest } = message ?? {};
          expect(rest).to.deep.equal({
            messageId: result?.['messageId'],
            publisherId: 'host1',
            type: 'disk.usage',
            version: '1.3',
            exchange,
            key: 'disk.sda',
            attempts: 1,
            redelivered: false,
            payload: { free: [7, 'é\n✓'] },
          });
          await stop(listening, signal);
          expect(listening.lines).to.have.length(1);
        });

      it('says so, and fails, when nobody listens', async () => {
        const { lines, process } = await done(['publish', place.url, exchange, 'nobody'], 'code 1');
        expect(parsed(lines)[0]).to.include({ status: 'returned' });
        expect(process.tail.join('\n')).to.include('posthorn: UNROUTABLE');
      });

      for (const mode of ['structured', 'binary'])
        it(`publishes CloudEvents, ${mode}, with a delay and a time to live`, async () => {
          const listening = await subscribe([place.url, exchange, '#']);
          const begun = Date.now();
          const args = ['--cloud-events', mode, '--delay', '700ms', '--ttl', '1m'];
          await done(['publish', place.url, exchange, 'k', '"later"', ...args]);
          const [message] = await heard(listening, 1);
          expect(message).to.include({ type: 'k', version: '1.0', payload: 'later' });
          expect(Date.now() - begun).to.be.at.least(700);
        });

      it('takes keys from the environment, a file or the line, tells and counts what it refuses, and shows no secret', async () => {
        const file = join(makeTempFolder('keys'), 'key');
        writeFileSync(file, `${SECRET} in a file\nthis is a remark\n`);
        const env = { POSTHORN_TEST_KEY: `${SECRET} in the environment` };
        const keys = ['e:env:POSTHORN_TEST_KEY', `f:file:${file}`, `l:${SECRET}: on the line`];
        const verify = keys.flatMap((key) => ['--verify-key', key]);
        const listening = await subscribe([place.url, exchange, '#', ...verify], env);
        const signed = await Promise.all(
          keys.map((key, index) => run(['publish', place.url, exchange, 'k', `${index}`, '--sign-key', key], env)),
        );
        for (const { process } of signed) expect(await process.wait(), process.tail.join('\n')).to.equal('code 0');
        await publisher().publish({ messageType: 'k', version: '1.0', payload: 'unsigned' });
        const stranger = hmacSha256({ keys: { l: 'a secret of somebody else' }, signWith: 'l' });
        await new Publisher(transport, { exchange, publisherId: 'a\u001b[2Jb', signer: stranger }).publish({
          messageType: 'k',
          version: '1.0',
          payload: 'forged',
        });
        const messages = await heard(listening, 3);
        expect(messages.map(({ payload }) => payload)).to.have.members([0, 1, 2]);
        await told(listening, 'refused: unsigned: message ');
        await told(listening, 'from a\u{FFFD}[2Jb: signature by hmac-sha256, key "l"');
        await stop(listening);
        await told(listening, 'refused: 1 unsigned, 1 wrong-signature');
        expect(listening.lines).to.have.length(3);
        for (const { lines, process } of [...signed, listening])
          expect([...lines, ...process.tail].join('\n')).to.not.include(SECRET);
      });

      it('shares the messages of a group, which wait while nobody is there', async () => {
        const args = [place.url, exchange, '#', '--group', `${exchange}-group`];
        await stop(await subscribe(args));
        for (const n of [1, 2]) await publisher().publish({ messageType: 'k', version: '1.0', payload: n });
        const members = [await subscribe(args), await subscribe(args)];
        for (const n of [3, 4, 5, 6]) await publisher().publish({ messageType: 'k', version: '1.0', payload: n });
        await waitFor('all', () => members.flatMap(({ lines }) => lines).length >= 6);
        for (const member of members) await stop(member);
        const payloads = members.flatMap(({ lines }) => parsed(lines)).map(({ payload }) => payload);
        expect(payloads).to.have.members([1, 2, 3, 4, 5, 6]);
      });

      it('ends well when nobody reads its output any more, and what it could not print goes back to the group', async () => {
        const group = `${exchange}-group`;
        const node = [process.execPath, '--conditions=@posthorn/source', '--import=tsx', command, 'subscribe'];
        const script = `"$@" | head -n 1; echo ended`;
        const lines: string[] = [];
        const shell = await TiedProcess.start(
          '/bin/sh',
          ['-c', script, 'sh', ...node, place.url, exchange, '#', '--group', group],
          { onLine: (line) => void lines.push(line) },
        );
        try {
          await waitFor('it to listen', () => shell.tail.some((line) => line.startsWith('listening to ')), 30_000);
          await publisher().publish({ messageType: 'k', version: '1.0', payload: 'printed' });
          await waitFor('the first', () => lines.length > 0);
          // Whoever read it has gone, but not always at once.
          await waitFor('its end', async () => {
            await publisher().publish({ messageType: 'k', version: '1.0', payload: 'kept' });
            return lines.includes('ended');
          });
          const rest = await subscribe([place.url, exchange, '#', '--group', group]);
          await heard(rest, 1);
          expect(new Set(parsed(rest.lines).map(({ payload }) => payload))).to.deep.equal(new Set(['kept']));
        } finally {
          await shell.stop();
        }
      });

      it('lists, shows and redrives the dead letters of a group, by their ids or all', async () => {
        const group = `${exchange}-group`;
        const handled: unknown[] = [];
        let broken = true;
        const worker = new Subscriber(transport, { exchange, group, executor: serial(), retry: { limit: 1 } });
        worker.bind('#', (payload) => {
          if (broken) throw new Error('no\u001b[2J disk');
          handled.push(payload);
        });
        await worker.start();
        const ids: string[] = [];
        for (const n of [1, 2, 3]) {
          const { messageId } = await publisher().publish({ messageType: 'k', version: '1.0', payload: { n } });
          ids.push(messageId);
        }
        const [first = '', second = '', third = ''] = ids;
        const letters = new DeadLetters(transport, group);
        await waitFor('three dead letters', async () => (await letters.list()).length === 3);
        broken = false;

        const list = await done(['dlq', 'list', place.url, group]);
        expect(list.lines).to.deep.equal(ids.map((id) => `${id}  1×  topic ${exchange}/k  no\u{FFFD}[2J disk`));
        const summary = await done(['dlq', 'list', place.url, group, '--json']);
        const about = {
          attempts: 1,
          reason: 'no\u001b[2J disk',
          origin: `topic ${exchange}/k`,
          home: `group ${group}`,
        };
        expect(parsed(summary.lines)).to.deep.equal(ids.map((id) => ({ id, ...about })));
        const shown = await done(['dlq', 'show', place.url, group, second]);
        expect(shown.lines.join('\n'))
          .to.match(/^attempts +1$/m)
          .and.to.match(/^body +\{.*"payload":\{"n":2\}/m);
        const [whole] = parsed((await done(['dlq', 'show', place.url, group, second, '--json'])).lines);
        expect(whole).to.deep.include({ id: second, ...about });
        expect(JSON.parse(String(whole?.['body']))).to.deep.include({ message_id: second, payload: { n: 2 } });

        const missing = await done(['dlq', 'redrive', place.url, group, first, 'no-such-id'], 'code 1');
        expect(missing.lines).to.deep.equal([first]);
        expect(missing.process.tail.join('\n')).to.include(`not among the dead letters of ${group}: no-such-id`);
        expect((await done(['dlq', 'redrive', place.url, group])).lines).to.deep.equal([second, third]);
        await waitFor('all', () => handled.length >= 3);
        expect(handled).to.deep.equal([{ n: 1 }, { n: 2 }, { n: 3 }]);
        const nothing = await done(['dlq', 'list', place.url, group]);
        expect(nothing.lines).to.deep.equal([]);
        expect(nothing.process.tail).to.include(`no dead letters of ${group}`);
        await worker.close();
      });

      it('prints the ids of dead letters that went, where a later one is refused', async () => {
        const group = newId();
        const keep = { confirm: true, unrouted: 'keep' } as const;
        const body = Buffer.from('{}');
        await transport.send({ kind: 'mailbox', name: group }, { body }, keep);
        for (const [messageId, home] of [
          ['goes', group],
          ['stays', newId()],
        ] as const)
          await transport.send(
            { kind: 'group', name: `${group}.dead` },
            { messageId, body, headers: { 'ph-home': `mailbox ${home}` } },
            keep,
          );
        const { lines, process } = await done(['dlq', 'redrive', place.url, group], 'code 1');
        expect(lines).to.deep.equal(['goes']);
        expect(process.tail.join('\n')).to.include('1 went, then one was refused').and.to.include('UNROUTABLE');
        expect((await done(['dlq', 'list', place.url, group])).lines.map((line) => line.split(' ')[0])).to.deep.equal([
          'stays',
        ]);
      });
    });
});
