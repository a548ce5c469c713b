import { cannotInstall, installDebian } from '../../integration/src/debian.ts';
import { findExecutable } from '../../integration/src/executable.ts';
import type { Skip } from '../../integration/src/found.ts';

interface Browser {
  readonly path: string;
}

/** A Chromium or Chrome: CHROME_PATH, or on the PATH, or installed (Debian, as root), or why there is none. */
export async function findBrowser(): Promise<Browser | Skip> {
  const given = process.env['CHROME_PATH'];
  if (given) return { path: given };
  for (const name of ['chromium', 'google-chrome', 'chromium-browser']) {
    const found = await findExecutable(name);
    if (found !== undefined) return { path: found };
  }
  const why = cannotInstall();
  if (why !== undefined)
    return { skip: `no chromium and no google-chrome on the PATH, CHROME_PATH is not set, and ${why}` };
  await installDebian('chromium');
  const path = await findExecutable('chromium');
  return path === undefined ? { skip: 'the package chromium brought no such program' } : { path };
}
