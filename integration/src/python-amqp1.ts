import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { cannotInstall, installDebian } from './debian.ts';
import { isSkip, type Skip } from './found.ts';
import { findPython, type PythonOslo } from './python.ts';

let found: Promise<PythonOslo | Skip> | undefined;

/**
 * A Python whose oslo.messaging speaks AMQP 1.0, looked for once per process. The driver was removed after version 14; it
 * needs pyngus, which is installed where that is possible.
 */
export function findPythonAmqp1(): Promise<PythonOslo | Skip> {
  found ??= search();
  return found;
}

async function search(): Promise<PythonOslo | Skip> {
  const python = await findPython();
  if (isSkip(python)) return python;
  if (Number.parseInt(python.version, 10) > 14)
    return { skip: `oslo.messaging ${python.version} has no driver for AMQP 1.0 any more` };
  if (await hasPyngus(python)) return python;
  const obstacle = cannotInstall();
  if (obstacle) return { skip: `${python.command} has no pyngus, and ${obstacle}` };
  try {
    await installDebian('python3-pyngus');
  } catch (error) {
    return { skip: `python3-pyngus could not be installed: ${String(error).slice(-300)}` };
  }
  return (await hasPyngus(python)) ? python : { skip: `${python.command} does not see Debian's pyngus` };
}

async function hasPyngus({ command }: PythonOslo): Promise<boolean> {
  return await promisify(execFile)(command, ['-c', 'import pyngus, proton']).then(
    () => true,
    () => false,
  );
}
