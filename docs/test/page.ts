import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export const read = (path: string): string => readFileSync(posix.join(root, path), 'utf8');

/** Every page, by its path in the repository. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(posix.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !/^(node_modules|api|\.vitepress)\//.test(path))
    .sort()
    .map((path) => `docs/${path}`),
];

/** A block of code on a page: what follows the language says which region of which file it is, from docs on. */
export interface Block {
  readonly language: string;
  readonly file: string | undefined;
  readonly region: string | undefined;
  readonly text: string;
}

const FENCE = /^( *)```(\w+)(?: ([\w./-]+)#([\w-]+))?\n([\s\S]*?)^\1```$/gm;

export function blocksOf(page: string): readonly Block[] {
  return [...page.matchAll(FENCE)].map(([, margin = '', language = '', file, region, text = '']) => {
    return { language, file, region, text: text.replace(new RegExp(`^${margin}`, 'gm'), '') };
  });
}

/** The page with each block as its region is now. */
export function rewritten(page: string): string {
  return page.replaceAll(FENCE, (fence, margin, language, file, region) => {
    if (file === undefined) return fence;
    const block = `\`\`\`${language} ${file}#${region}\n${regionOf(file, region)}\`\`\``;
    return block.replace(/^(?=.)/gm, margin);
  });
}

/** What stands between `// #region name` and `// #endregion name`, moved to the left, without the marks of others. */
export function regionOf(file: string, name: string): string {
  const [, text] =
    new RegExp(`// #region ${name}\n([\\s\\S]*?)^ *// #endregion ${name}$`, 'm').exec(read(`docs/${file}`)) ?? [];
  if (text === undefined) throw new Error(`docs/${file} has no region "${name}"`);
  const lines = text.replace(/^ *\/\/ #(end)?region .*\n/gm, '').replace(/^\n+|\n+$/g, '');
  const margin = Math.min(
    ...lines
      .split('\n')
      .filter(Boolean)
      .map((line) => line.search(/\S/)),
  );
  return `${lines.replace(new RegExp(`^ {${margin}}`, 'gm'), '')}\n`;
}
