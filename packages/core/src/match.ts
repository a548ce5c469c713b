/**
 * A test for keys against a topic pattern: words separated by dots, `*` is exactly one word, `#` is zero or more. The
 * rule of AMQP 0-9-1 topic exchanges (section 3.1.3.3), the same on every transport.
 */
export function matcher(pattern: string): (key: string) => boolean {
  if (!/[*#]/.test(pattern)) return (key) => key === pattern;
  const words = pattern.split('.');
  return (key) => matches(words, 0, wordsOf(key), 0);
}

/** The empty key has no words, rather than one that is empty: as in RabbitMQ. */
function wordsOf(key: string): readonly string[] {
  return key === '' ? [] : key.split('.');
}

function matches(words: readonly string[], w: number, key: readonly string[], k: number): boolean {
  const word = words[w];
  if (word === undefined) return k === key.length;
  if (word === '#') {
    for (let rest = k; rest <= key.length; rest++) if (matches(words, w + 1, key, rest)) return true;
    return false;
  }
  return k < key.length && (word === '*' || word === key[k]) && matches(words, w + 1, key, k + 1);
}
