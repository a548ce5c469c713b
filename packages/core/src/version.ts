import { ConfigError } from './errors.ts';

/** `major.minor[.revision]`, or undefined when the text is not a version. */
function parse(version: string): readonly [number, number, number] | undefined {
  const match = /^(\d+)\.(\d+)(?:\.(\d+))?$/.exec(version);
  if (match === null) return undefined;
  return [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)];
}

/** Refuses a version that is not `major.minor[.revision]`. */
export function checkVersion(path: string, version: string): void {
  if (parse(version) === undefined) throw new ConfigError(path, `"${version}" is not a version like "1.0"`);
}

/**
 * Whether someone who implements one version serves a request for another: the same major, and no newer minor
 * (or revision within the minor). The rule of oslo.messaging.
 */
export function compatible(implemented: string, requested: string): boolean {
  // So it is with most requests. What an endpoint implements is checked at its start.
  if (implemented === requested) return true;
  const have = parse(implemented);
  const want = parse(requested);
  if (have === undefined || want === undefined || have[0] !== want[0]) return false;
  return want[1] < have[1] || (want[1] === have[1] && want[2] <= have[2]);
}
