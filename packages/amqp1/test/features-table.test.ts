import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AddressKind, Features } from '@posthorn/core';
import { expect } from 'chai';
import { chooseProfile } from '../src/choose-profile.ts';
import { type Amqp1Options, PROFILES } from '../src/options.ts';

const page = fileURLToPath(new URL('../../../docs/drivers/amqp1.md', import.meta.url));
const KINDS: readonly AddressKind[] = ['anycast', 'unicast', 'multicast', 'topic', 'group', 'mailbox', 'reply'];
const FLAGS = [
  'ttl',
  'delay',
  'priority',
  'keep',
  'deliveryCount',
  'untilEmpty',
  'inPlace',
  'durable',
  'inspect',
  'plan',
  'declare',
] as const;

interface Column {
  readonly title: string;
  readonly features: Features;
}

function column(title: string, profile: NonNullable<Amqp1Options['profile']>, version = ''): Column {
  const peer = { product: undefined, version, capabilities: [] };
  return { title, features: chooseProfile({ profile, durability: 'durable' }, peer).features };
}

const COLUMNS: readonly Column[] = [
  column('RabbitMQ 4.3', 'rabbitmq4', '4.3.0'),
  column('RabbitMQ 4.0', 'rabbitmq4', '4.0.0'),
  column('RabbitMQ 3', 'rabbitmq3'),
  column('`posthorn broker`', 'posthorn'),
  column('ActiveMQ', 'activemq'),
  column('Artemis', 'artemis'),
  column('router', 'router'),
  column('others', 'plain'),
];

function table(): string {
  const row = (name: string, cell: (features: Features) => string): string =>
    `| ${[name, ...COLUMNS.map(({ features }) => cell(features))].join(' | ')} |`;
  const yes = (is: boolean): string => (is ? 'yes' : '–');
  return [
    `| ${['', ...COLUMNS.map(({ title }) => title)].join(' | ')} |`,
    `|${' --- |'.repeat(COLUMNS.length + 1)}`,
    ...KINDS.map((kind) => row(`\`${kind}\``, ({ kinds }) => yes(kinds.includes(kind)))),
    row('`unroutable`', ({ unroutable }) => unroutable),
    ...FLAGS.map((flag) => row(`\`${flag}\``, (features) => yes(features[flag] === true))),
  ].join('\n');
}

describe('the page of the AMQP 1.0 driver', () => {
  it('has the table of what each profile declares (POSTHORN_WRITE_DOCS=1 writes it)', () => {
    const text = readFileSync(page, 'utf8');
    const [before, after] = [text.indexOf('<!-- features -->'), text.indexOf('<!-- /features -->')];
    const current = `${text.slice(0, before)}<!-- features -->\n\n${table()}\n\n${text.slice(after)}`;
    if (process.env['POSTHORN_WRITE_DOCS']) writeFileSync(page, current);
    else expect(text).to.equal(current);
  });

  it('has a column for every profile', () => {
    expect(new Set(COLUMNS.map(({ features }) => features)).size).to.be.at.least(PROFILES.length);
  });
});
