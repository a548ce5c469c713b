import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Where the site shows a file of the repository, or undefined for a page of its own. */
export function sourcePage(path: string): string | undefined {
  if (path === 'README.md') return '/getting-started';
  if (path === 'CHANGELOG.md') return '/changelog';
  return isSource(path) ? `/source/${nameOf(path)}` : undefined;
}

/** Every file that some page points to. */
export function linkedSources(): readonly { readonly name: string; readonly path: string; readonly text: string }[] {
  const pages = readdirSync(posix.join(root, 'docs'), { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.md') && !/^(node_modules|api|\.vitepress|source)\//.test(path),
  );
  const paths = pages.flatMap((page) =>
    [...readFileSync(posix.join(root, 'docs', page), 'utf8').matchAll(/\]\(([^):#]+)\)/g)]
      .map(([, link = '']) => posix.join('docs', posix.dirname(page), link))
      .filter((path) => sourcePage(path)?.startsWith('/source/')),
  );
  return [...new Set(paths)].map((path) => {
    return { name: nameOf(path), path, text: readFileSync(posix.join(root, path), 'utf8') };
  });
}

function isSource(path: string): boolean {
  const isPage = /^docs\/.*\.md$/.test(path);
  return !isPage && /\.(ts|mjs|md|json|yaml)$/.test(path) && existsSync(posix.join(root, path));
}

function nameOf(path: string): string {
  return path.replaceAll(/[^\w-]/g, '-');
}
