/// <reference lib="dom" />
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { type Browser, launch, type Page } from 'puppeteer-core';
import { isSkip } from '../../integration/src/found.ts';
import { skip } from '../../integration/src/skip.ts';
import { findBrowser } from './browser.ts';

const docs = fileURLToPath(new URL('..', import.meta.url));
const dist = join(docs, '.vitepress/dist');
const TABS = 4;
const MOBILE = { width: 390, height: 844 };
const DESKTOP = { width: 1280, height: 900 };

/** What a page looks like once it is loaded. */
interface Visit {
  readonly url: string;
  readonly problems: readonly string[];
  readonly links: readonly string[];
  readonly ids: readonly string[];
  readonly width: number;
  readonly emptyPictures: readonly string[];
}

describe('the site', function () {
  this.timeout(300_000);
  let server: Server | undefined;
  let browser: Browser | undefined;
  let origin: string;
  const visits = new Map<string, Visit>();

  before(async function () {
    const found = await findBrowser();
    if (isSkip(found)) skip(this, 'the site in a browser', found.skip);
    await promisify(execFile)('npm', ['run', '--silent', 'build'], { cwd: docs });
    server = await serve();
    const address = server.address();
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    browser = await launch({ executablePath: found.path, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    const paths = readdirSync(dist, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.html') && path !== '404.html')
      .map((path) => `/${path.replace(/(index)?\.html$/, '')}`);
    const left = paths.values();
    const tab = async (): Promise<void> => {
      const page = await opened(MOBILE);
      const problems = problemsOf(page);
      for (const path of left) visits.set(path, await visit(page, path, problems));
      await page.close();
    };
    await Promise.all(Array.from({ length: TABS }, tab));
  });

  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  const opened = async (viewport: typeof MOBILE): Promise<Page> => {
    if (browser === undefined) throw new Error('no browser');
    const page = await browser.newPage();
    await page.setViewport(viewport);
    page.setDefaultTimeout(120_000);
    return page;
  };

  const visit = async (page: Page, path: string, problems: string[]): Promise<Visit> => {
    await page.goto(origin + path, { waitUntil: 'load' });
    await alive(page);
    const seen = await page.evaluate(() => ({
      url: location.href,
      links: [...document.querySelectorAll('a[href]')].map((link) => (link as HTMLAnchorElement).href),
      ids: [...document.querySelectorAll('[id]')].map(({ id }) => id),
      width: document.documentElement.scrollWidth,
      emptyPictures: [...document.images].filter((image) => image.naturalWidth === 0).map(({ src }) => src),
    }));
    return { ...seen, problems: problems.splice(0) };
  };

  /** Each thing once, with a page that has it, in a text that a failure shows in full. */
  const all = (tell: (visit: Visit) => readonly string[]): string => {
    const found = [...visits].flatMap(([path, visit]) => tell(visit).map((what) => [what, path] as const));
    return [...new Map(found)].map(([what, path]) => `${what} on ${path}`).join('\n');
  };

  it('has the pages and the API, each of which loads without an error', () => {
    expect([...visits.keys()]).to.include.members(['/', '/rpc', '/recipes/outbox', '/api/rpc']);
    expect(all(({ problems }) => problems)).to.equal('');
  });

  it('has no link that leads nowhere, and no anchor that is not there', () => {
    const leadsTo = (link: string): boolean => {
      const { pathname, hash } = new URL(link);
      const target = visits.get(pathname) ?? visits.get(`${pathname}/`);
      return target !== undefined && (hash === '' || target.ids.includes(decodeURIComponent(hash.slice(1))));
    };
    const dead = all(({ links }) => links.filter((link) => link.startsWith(origin) && !leadsTo(link)));
    expect(dead).to.equal('');
  });

  it('has pictures, and each has a size', () => {
    expect(all(({ emptyPictures }) => emptyPictures)).to.equal('');
    expect(readFileSync(join(dist, 'concepts.html'), 'utf8')).to.include('<img');
  });

  it('is as wide as a phone at most', () => {
    expect(all(({ width }) => (width > MOBILE.width ? [`${width} px`] : []))).to.equal('');
  });

  it('finds the page about gather', async () => {
    const page = await opened(DESKTOP);
    await page.goto(origin, { waitUntil: 'load' });
    await alive(page);
    await page.locator('.DocSearch-Button').click();
    await page.locator('.search-input').fill('gather');
    await page.locator('.result[href^="/rpc#"]').click();
    await page.waitForFunction(() => location.pathname === '/rpc');
    await page.waitForFunction(() => document.querySelector('h1')?.textContent?.includes('Calls'));
    await page.close();
  });
});

/** Resolves when the page does what is clicked. */
async function alive(page: Page): Promise<void> {
  // A tab in the background draws no frames, by which it would look.
  await page.waitForFunction(() => '__vue_app__' in (document.querySelector('#app') ?? {}), { polling: 20 });
}

/** What goes wrong on the page from now on. */
function problemsOf(page: Page): string[] {
  const problems: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warn') problems.push(message.text());
  });
  page.on('pageerror', (error) => void problems.push(String(error)));
  page.on('response', (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
  });
  return problems;
}

/** The built site, as a web server with short URLs has it. */
async function serve(): Promise<Server> {
  const types: Readonly<Record<string, string>> = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.css': 'text/css',
    '.svg': 'image/svg+xml',
  };
  const server = createServer((request, response) => {
    const path = join(dist, new URL(request.url ?? '/', 'http://localhost').pathname);
    const file = [path, `${path}.html`, join(path, 'index.html')].find((one) => existsSync(one) && extname(one) !== '');
    if (file === undefined) return response.writeHead(request.url === '/favicon.ico' ? 204 : 404).end();
    const type = types[extname(file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, 'cache-control': 'max-age=3600' });
    return response.end(readFileSync(file));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
