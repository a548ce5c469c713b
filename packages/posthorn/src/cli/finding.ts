/** What one look at a broker found. */
export interface Finding {
  /** What was looked at: `TLS localhost:5671`. */
  readonly step: string;
  /** `good`; `careful`: it works, and something is to be known; `wrong`; `skipped`: not looked at, and why. */
  readonly verdict: 'good' | 'careful' | 'wrong' | 'skipped';
  readonly text: string;
  /** What to do about it. */
  readonly advice?: string;
  /** Figures, for programs. */
  readonly figures?: Readonly<Record<string, number | string>>;
}

/** Runs a step with a time limit. A throw, and the end of the time, are findings. */
export async function examined(
  step: string,
  limitMs: number,
  examine: () => Promise<Finding>,
  explain: (error: unknown) => Omit<Finding, 'step'>,
): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${limitMs / 1_000} s`)), limitMs);
  });
  try {
    return await Promise.race([examine(), late]);
  } catch (error) {
    return { step, ...explain(error) };
  } finally {
    clearTimeout(timer);
  }
}
