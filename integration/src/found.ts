/** Why something that tests need is not to be had on this machine. */
export interface Skip {
  readonly skip: string;
}

export function isSkip<T extends object>(found: T | Skip): found is Skip {
  return 'skip' in found;
}
