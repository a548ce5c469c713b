import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';

const LOCK = '/run/lock/posthorn-apt.lock';

// A package that brings a daemon starts it unless policy-rc.d forbids it; the guard must not outlive the installation,
// and must not take away one that the machine's owner put there. The update has no way to wait for the lock of another
// one; the lists may be good enough without it.
const INSTALL = `
set -e
guard=/usr/sbin/policy-rc.d
if [ ! -e $guard ] || grep -q posthorn $guard; then
  trap 'rm -f $guard' EXIT
  printf '#!/bin/sh\\n# posthorn tests: start no service\\nexit 101\\n' > $guard
  chmod 755 $guard
fi
for pause in 5 10 0; do apt-get -q update && break; sleep $pause; done
apt-get -q -y -o DPkg::Lock::Timeout=120 install --no-install-recommends "$@"
`;

/** Why `installDebian` cannot work here, or undefined when it may. `POSTHORN_NO_INSTALL=1` forbids it. */
export function cannotInstall(): string | undefined {
  if (process.env['POSTHORN_NO_INSTALL']) return 'POSTHORN_NO_INSTALL is set';
  if (!existsSync('/etc/debian_version') || !existsSync('/usr/bin/apt-get')) return 'this is no Debian';
  if (process.getuid?.() !== 0) return 'only root may install packages';
  return undefined;
}

/** Installs Debian packages without starting their services. Concurrent test processes take turns. Minutes at worst. */
export async function installDebian(...packages: readonly string[]): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' };
  // Ctrl-C must not leave dpkg half way: the shell runs in a session of its own and finishes.
  await promisify(execFile)('setsid', ['-w', 'flock', LOCK, 'sh', '-c', INSTALL, 'install', ...packages], {
    env,
    maxBuffer: 64 * 1024 * 1024,
  });
}
