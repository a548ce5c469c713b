import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeDriver, describeTransport } from '@posthorn/conformance';
import { type Delivery, type Driver, parseTransportUrl, silent, Transport } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { deferred } from '../../integration/src/deferred.ts';
import { codeOf } from '../../integration/src/suites/rejection.ts';
import { makeTempFolder } from '../../integration/src/temp-folder.ts';
import { TiedProcess } from '../../integration/src/tied-process.ts';
import { waitFor } from '../../integration/src/wait-for.ts';
import { spool } from '../examples/spool-driver.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'docs/examples/spool-driver.ts');
const shared = makeTempFolder('spool');
const TOPIC = { kind: 'anycast', exchange: 'e', topic: 't' } as const;

function open(folder: string): Promise<Driver> {
  const nothing = (): void => {};
  const context = { logger: silent, onStatus: nothing, onReturned: nothing, onLost: nothing };
  return spool(parseTransportUrl(`spool://${folder}`), context);
}

// #region conformance
describeDriver('the driver of the tutorial', {
  connect: (context) => spool(parseTransportUrl(`spool://${shared}`), context),
  never: ['breakConnection', 'restart', 'block'],
});
// #endregion conformance

// #region transport
describeTransport('the driver of the tutorial', {
  connect: (options) => Transport.open((context) => spool(parseTransportUrl(`spool://${shared}`), context), options),
  // Its consumers are in no line: in one process, who looks first has what there is.
  knownGaps: [
    'test_server_in_group: calls to a topic are shared out, in order, none lost and none doubled',
    'test_server_in_group: 20 casts are shared out among three servers',
    'O-06: 300 calls are dealt out evenly to three servers',
  ],
});
// #endregion transport

describe('the driver of the tutorial, in use', () => {
  it('M-11: has at most 150 lines', () => {
    const lines = readFileSync(source, 'utf8').trimEnd().split('\n');
    expect(lines.filter((line) => !/^ *\/\/ #(end)?region /.test(line))).to.have.length.within(1, 150);
  });

  it('R-17: loads by the scheme of a URL, and carries calls, casts and fanouts', async () => {
    const url = `spool://${makeTempFolder('spool')}`;
    const options = { drivers: { spool }, logger: silent };
    await using serving = await connect(url, options);
    await using calling = await connect(url, options);
    const noted = { cast: deferred<string>(), fanout: deferred<string>() };
    const endpoint = {
      echo: (_: unknown, { text }: { readonly text: string }) => text,
      note: (_: unknown, { how }: { readonly how: 'cast' | 'fanout' }) => noted[how].resolve(how),
    };
    await new RPCServer(serving, { target: { topic: 't', server: 's' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(calling, { target: { topic: 't' } });
    expect(await client.call({}, 'echo', { text: 'hello' })).to.equal('hello');
    await client.cast({}, 'note', { how: 'cast' });
    await client.fanout({}, 'note', { how: 'fanout' });
    expect([await noted.cast.promise, await noted.fanout.promise]).to.deep.equal(['cast', 'fanout']);
    const nobody = client.prepare({ topic: 'nobody' }).call({}, 'echo', { text: 'hello' });
    expect(await codeOf(nobody)).to.equal('UNROUTABLE');
  });

  it('R-17: serves the posthorn command, as a module in JavaScript', async function () {
    this.timeout(120_000);
    const built = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'docs'], { cwd: root });
    expect(built.status, String(built.stdout)).to.equal(0);
    const folder = makeTempFolder('spool');
    const service = join(folder, 'service.mjs');
    writeFileSync(
      service,
      'export const echo = (_, { text }) => text;\nexport const note = (_, { text }) => console.log(text);\n',
    );
    const lines: string[] = [];
    const posthorn = (command: string, ...args: readonly string[]): Promise<TiedProcess> => {
      const driver = ['--driver', join(root, 'docs/dist/spool-driver.js')];
      const words = [
        join(root, 'packages/posthorn/dist/cli.js'),
        command,
        `spool://${folder}/spool`,
        ...args,
        ...driver,
      ];
      return TiedProcess.start(process.execPath, words, { onLine: (line) => void lines.push(line) });
    };
    const server = await posthorn('serve', 't', 's', service);
    try {
      await waitFor('the server', () => lines.length > 0 || server.ended, 30_000);
      expect(server.ended, server.tail.join('\n')).to.equal(undefined);
      const call = await posthorn('call', 't', 'echo', '{"text":"hello"}');
      expect(await call.wait(), call.tail.join('\n')).to.equal('code 0');
      const cast = await posthorn('cast', 't@s', 'note', '{"text":"noted"}');
      expect(await cast.wait(), cast.tail.join('\n')).to.equal('code 0');
      await waitFor('the cast', () => lines.includes('noted'));
      expect(lines.slice(1)).to.deep.equal(['"hello"', 'noted']);
    } finally {
      await server.stop('SIGTERM');
    }
    expect(await server.wait()).to.equal('code 0');
  });

  it('delivers again what a process held when it died', async () => {
    const folder = makeTempFolder('spool');
    await using driver = await open(folder);
    await (await driver.subscribe([TOPIC], () => {})).close();
    await driver.send(TOPIC, { body: Buffer.from('again') });
    const { pid: dead } = spawnSync(process.execPath, ['--version']);
    const [queue = ''] = readdirSync(folder);
    const [file = ''] = readdirSync(join(folder, queue));
    renameSync(join(folder, queue, file), join(folder, queue, file.replace('.msg', `.of-${dead}`)));
    const { promise, resolve } = deferred<Delivery>();
    await driver.subscribe([TOPIC], resolve);
    const { message, redelivered } = await promise;
    expect([Buffer.from(message.body).toString(), redelivered]).to.deep.equal(['again', true]);
  });

  it('sends nothing to the reply address of a process that died', async () => {
    const folder = makeTempFolder('spool');
    await using driver = await open(folder);
    const { address } = await driver.subscribe([{ kind: 'reply' }], () => {});
    const { pid: dead } = spawnSync(process.execPath, ['--version']);
    const name = address.kind === 'reply' ? address.name.replace(`${process.pid}`, `${dead}`) : '';
    const [queue = ''] = readdirSync(folder);
    renameSync(join(folder, queue), join(folder, queue.replace(`${process.pid}`, `${dead}`)));
    const sending = driver.send({ kind: 'reply', name }, { body: Buffer.from('x') }, { unrouted: 'fail' });
    expect(await codeOf(sending)).to.equal('UNROUTABLE');
  });

  it('throws away a file that is no message, and goes on', async () => {
    const folder = makeTempFolder('spool');
    await using driver = await open(folder);
    const { promise, resolve } = deferred<Delivery>();
    await driver.subscribe([TOPIC], resolve);
    const [queue = ''] = readdirSync(folder);
    for (const [name, text] of Object.entries({ empty: '', half: '{"body":"aG', other: '{}' }))
      writeFileSync(join(folder, queue, `0-${name}.msg`), text);
    await driver.send(TOPIC, { body: Buffer.from('x') });
    expect(Buffer.from((await promise).message.body).toString()).to.equal('x');
    expect(readdirSync(join(folder, queue))).to.have.lengthOf(1);
  });

  it('keeps to its folder, whatever name a peer gives', async () => {
    const folder = makeTempFolder('spool');
    await using driver = await open(join(folder, 'inner'));
    for (const name of ['..', '../..', '/', '']) {
      const sending = driver.send({ kind: 'reply', name }, { body: Buffer.from('x') }, { unrouted: 'fail' });
      expect(await codeOf(sending)).to.equal('UNROUTABLE');
    }
    expect(readdirSync(folder)).to.deep.equal(['inner']);
    expect(readdirSync(join(folder, 'inner'))).to.deep.equal([]);
  });

  it('refuses a URL without a path, and a path that is no folder', async () => {
    expect(await codeOf(connect('spool://', { drivers: { spool }, logger: silent }))).to.equal('CONFIG');
    expect(await codeOf(connect('spool://host/path', { drivers: { spool }, logger: silent }))).to.equal('CONFIG');
    expect(await codeOf(connect(`spool://${source}`, { drivers: { spool }, logger: silent }))).to.equal('CONNECTION');
  });

  it('tells what the file system refuses by typed errors', async () => {
    const folder = makeTempFolder('spool');
    await using driver = await open(folder);
    const long = { kind: 'anycast', exchange: 'e', topic: 'x'.repeat(300) } as const;
    expect(await codeOf(driver.subscribe([long], () => {}))).to.equal('CONNECTION');
    await driver.subscribe([TOPIC], () => {});
    const bad = { kind: 'anycast', exchange: 'e', topic: '\ud800' } as const;
    expect(await codeOf(driver.send(bad, { body: Buffer.from('x') }))).to.equal('NOT_DELIVERED');
  });
});
