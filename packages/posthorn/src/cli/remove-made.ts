import { type Declaration, type Transport, within } from '@posthorn/core';

const LIMIT_MS = 5_000;

/**
 * Takes away what a command made for itself, the last first: what bears its name, and nothing else, since plans have things
 * that others use, too.
 *
 * @returns what could not be taken away
 */
export async function removeMade(
  transport: Transport,
  made: readonly Declaration[],
  name: string,
): Promise<readonly string[]> {
  if (!transport.features.declare) return [];
  const left: string[] = [];
  const removing = (async (): Promise<void> => {
    for (const declaration of [...made].reverse()) {
      // With its queue, a binding goes.
      if (declaration.kind === 'binding' || !declaration.name.includes(name)) continue;
      await transport.declare(declaration, 'remove').catch(() => left.push(`${declaration.kind} ${declaration.name}`));
    }
  })();
  await within(removing, LIMIT_MS, undefined);
  return [...new Set(left)];
}
