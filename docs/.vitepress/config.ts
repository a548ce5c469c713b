import { readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { defineConfig } from 'vitepress';
import { sourcePage } from './source-pages.ts';

const docs = new URL('..', import.meta.url);
const packages = readdirSync(new URL('api', docs), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md') && name !== 'index.md')
  .sort()
  .map((name) => name.replace('.md', ''));

export default defineConfig({
  title: 'Posthorn',
  description: 'Messaging for Node.js services: calls, notifications and messages, whatever the broker',
  srcExclude: ['test/**', 'examples/**', 'dist/**'],
  cleanUrls: true,
  // The index of the search holds the API.
  vite: { build: { chunkSizeWarningLimit: 4_000 } },
  markdown: {
    config(md) {
      const open = md.renderer.rules['link_open'];
      md.renderer.rules['link_open'] = (tokens, index, options, env, self) => {
        const href = tokens[index]?.attrGet('href');
        const page = href && sourcePage(posix.join('docs', posix.dirname(env.relativePath), href));
        if (page) tokens[index]?.attrSet('href', page);
        return open?.(tokens, index, options, env, self) ?? self.renderToken(tokens, index, options);
      };
    },
  },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    docFooter: { prev: false, next: false },
    nav: [
      { text: 'Guide', link: '/getting-started' },
      { text: 'API', link: '/api/' },
      { text: 'Changes', link: '/changelog' },
    ],
    sidebar: [
      {
        text: 'Start',
        items: [
          { text: 'Getting started', link: '/getting-started' },
          { text: 'Concepts', link: '/concepts' },
          { text: 'The command', link: '/command' },
          { text: 'From oslo.messaging', link: '/coming-from-oslo' },
          { text: 'From NestJS and amqplib', link: '/coming-from-nestjs' },
        ],
      },
      {
        text: 'Patterns',
        items: [
          { text: 'Calls', link: '/rpc' },
          { text: 'Notifications', link: '/notifications' },
          { text: 'Messages', link: '/messaging' },
          { text: 'Services', link: '/services' },
          { text: 'Contracts', link: '/contracts' },
        ],
      },
      {
        text: 'Transports',
        items: [
          { text: 'RabbitMQ', link: '/drivers/rabbitmq' },
          { text: 'AMQP 1.0', link: '/drivers/amqp1' },
          { text: 'Memory', link: '/drivers/memory' },
          { text: 'Writing a driver', link: '/writing-a-driver' },
        ],
      },
      {
        text: 'Recipes',
        items: [
          { text: 'Retries and dead letters', link: '/recipes/retries' },
          { text: 'Idempotency', link: '/recipes/idempotency' },
          { text: 'Outbox', link: '/recipes/outbox' },
          { text: 'On a cluster', link: '/recipes/cluster' },
          { text: 'Security', link: '/recipes/security' },
          { text: 'Operating', link: '/recipes/operating' },
          { text: 'Telemetry', link: '/telemetry' },
          { text: 'Testing services', link: '/testing' },
        ],
      },
      {
        text: 'Background',
        items: [
          { text: 'Performance', link: '/performance' },
          { text: 'Scale', link: '/scale' },
          { text: 'Decisions', link: '/decisions' },
          { text: 'Releasing', link: '/releasing' },
          { text: 'Changes', link: '/changelog' },
        ],
      },
      {
        text: 'API',
        collapsed: true,
        items: packages.map((name) => ({ text: name, link: `/api/${name}` })),
      },
    ],
  },
});
