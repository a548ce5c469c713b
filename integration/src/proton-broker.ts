import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cannotInstall, installDebian } from './debian.ts';
import { findExecutable } from './executable.ts';
import type { Skip } from './found.ts';
import { freePorts } from './free-port.ts';
import { makeTempFolder } from './temp-folder.ts';
import { TiedProcess } from './tied-process.ts';
import { waitFor } from './wait-for.ts';

const SOURCE = '/usr/share/proton/examples/cpp/broker.cpp';
const HEADERS = ['/usr/include/proton/container.hpp', '/usr/include/proton/proactor.h'];
const PACKAGES = ['g++', 'libqpid-proton-cpp12-dev', 'libqpid-proton11-dev', 'libqpid-proton11-dev-examples'];

/** The example broker of Qpid Proton: queues and dynamic reply addresses in memory, and nothing else. */
export interface ProtonBroker {
  readonly host: string;
  readonly port: number;
}

let found: Promise<ProtonBroker | Skip> | undefined;

/**
 * A Proton broker, looked for once per process: by POSTHORN_PROTON_URL (`amqp1://host:port`), else one that is compiled
 * from the examples of Debian's packages and started, which are installed first where that is possible, else the reason to
 * skip.
 */
export function findProtonBroker(): Promise<ProtonBroker | Skip> {
  found ??= search();
  return found;
}

async function search(): Promise<ProtonBroker | Skip> {
  const url = process.env['POSTHORN_PROTON_URL'];
  if (url) {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port || 5672) };
  }
  const missing = await findMissing();
  if (missing === undefined) return await start();
  const obstacle = cannotInstall();
  if (obstacle)
    return { skip: `no Proton broker: POSTHORN_PROTON_URL is not set, ${missing} is missing, and ${obstacle}` };
  try {
    await installDebian(...PACKAGES);
  } catch (error) {
    return { skip: `the Proton examples could not be installed: ${String(error).slice(-300)}` };
  }
  const stillMissing = await findMissing();
  return stillMissing === undefined
    ? await start()
    : { skip: `${stillMissing} is not where it should have been installed` };
}

async function findMissing(): Promise<string | undefined> {
  const file = [SOURCE, ...HEADERS].find((each) => !existsSync(each));
  return file ?? ((await findExecutable('g++')) === undefined ? 'g++' : undefined);
}

async function start(): Promise<ProtonBroker | Skip> {
  const program = join(makeTempFolder('proton'), 'broker');
  const compile = ['-O1', '-std=c++11', '-o', program, SOURCE, '-lqpid-proton-cpp', '-lpthread'];
  try {
    await promisify(execFile)('g++', compile);
  } catch (error) {
    return { skip: `the Proton example broker does not compile: ${String(error).slice(-300)}` };
  }
  const [port = 0] = await freePorts(1);
  const host = '127.0.0.1';
  const broker = await TiedProcess.start(program, ['-a', `${host}:${port}`], { detached: true });
  await waitFor('the Proton broker', async () => {
    if (broker.ended !== undefined) throw new Error(`the Proton broker did not start:\n${broker.tail.join('\n')}`);
    return await accepts(host, port);
  });
  return { host, port };
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (isOpen: boolean) => (): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once('connect', end(true)).once('error', end(false));
  });
}
