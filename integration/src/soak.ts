/** Whether the tests under sustained failure run in full, for minutes, and print their figures. */
export const SOAKING = process.env['POSTHORN_SOAK'] === '1';

/** How often: the short form belongs to every run, the full one to soaks. */
export function times(short: number, full: number): number {
  return SOAKING ? full : short;
}

/** Prints a line of figures in a soak. */
export function figures(what: string, values: Readonly<Record<string, unknown>>): void {
  if (SOAKING) console.log(`      ${what}: ${JSON.stringify(values)}`);
}
