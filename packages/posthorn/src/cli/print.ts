import { stdout } from 'node:process';
import { styleText } from 'node:util';

/** Writes a line to standard output. Resolves once it is out; rejects where nobody reads any more. */
export function printed(line: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

/** A result: a line of JSON where that is asked for (`--json`), else the text for people. */
export function told({ json }: { readonly json?: boolean }, value: unknown, text: string): Promise<void> {
  return printed(json === true ? JSON.stringify(value) : text);
}

/** What strangers wrote, without what terminals obey. */
export function printable(text: string): string {
  return text.replace(/[^\P{Cc}\t]/gu, '\u{FFFD}');
}

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** The text in a colour, where the stream is a terminal that shows it. NO_COLOR and FORCE_COLOR have their way. */
export function painted(style: Style, text: string, stream: NodeJS.WriteStream = stdout): string {
  return styleText(style, text, { stream });
}

/** Rows in columns, the first of them a heading. Numbers stand to the right. */
export function table(rows: readonly (readonly (string | number)[])[]): string {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, index) =>
    Math.max(...rows.map((row) => String(row[index] ?? '').length)),
  );
  const isNumber = widths.map((_, index) => rows.slice(1).every((row) => typeof (row[index] ?? 0) === 'number'));
  return rows
    .map((row, line) => {
      const cells = widths.map((width, index) => {
        const text = String(row[index] ?? '');
        return isNumber[index] ? text.padStart(width) : text.padEnd(width);
      });
      const text = cells.join('  ').trimEnd();
      return line === 0 ? painted('bold', text) : text;
    })
    .join('\n');
}
