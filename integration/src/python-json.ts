const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * Parses a line of Python's `json`, which writes NaN and Infinity bare and integers of any size. Those that a JavaScript
 * number cannot hold come as strings of what was written: 'NaN', '-Infinity', '9007199254740993'.
 */
export function parsePythonJson(text: string): unknown {
  return JSON.parse(text.replace(STRING_OR_NUMBER, (token) => (survives(token) ? token : `"${token}"`)));
}

function survives(token: string): boolean {
  if (token.startsWith('"')) return true;
  const number = Number(token);
  return Number.isFinite(number) && (Number.isSafeInteger(number) || !/^-?\d+$/.test(token));
}
