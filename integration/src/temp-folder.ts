import { mkdtempSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { track } from './leftovers.ts';

// Whoever wrote to it has just been killed, and may have written once more meanwhile.
const REMOVE = { recursive: true, force: true, maxRetries: 5 };

/** A new folder for temporary files, `posthorn-<name>-…`, that goes with `stopAll` or at the end of this process. */
export function makeTempFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `posthorn-${name}-`));
  track({
    stop: () => rm(folder, REMOVE),
    kill: () => {
      try {
        rmSync(folder, REMOVE);
      } catch {
        // no time left to wait; what remains is where temporary files are
      }
    },
  });
  return folder;
}
