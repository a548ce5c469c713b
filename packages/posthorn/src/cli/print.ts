import { stdout } from 'node:process';

/** Writes a line to standard output. Resolves once it is out; rejects where nobody reads any more. */
export function printed(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

/** What strangers wrote, without what terminals obey. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, '\u{FFFD}');
}
