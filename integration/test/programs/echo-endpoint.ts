/** An endpoint for `posthorn serve`. */
export function echo(_context: unknown, { text }: { readonly text: string }): string {
  return text;
}
