import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const DEBIAN = '/usr/bin/python3';

/** @throws where there is no Python with oslo.messaging: in POSTHORN_PYTHON, or Debian's own */
export async function pythonWithOslo(): Promise<{ readonly command: string; readonly version: string }> {
  const command = process.env['POSTHORN_PYTHON'] || DEBIAN;
  const program = 'import oslo_messaging, importlib.metadata as m; print(m.version("oslo.messaging"))';
  const { stdout } = await promisify(execFile)(command, ['-c', program]);
  return { command, version: stdout.trim() };
}
