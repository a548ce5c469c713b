import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '@posthorn/core';
import { recording, routing } from '@posthorn/notify';
import { expect } from 'chai';
import { routingFile } from '../src/routing-file.ts';

const GOOD = `
group_1:
  messaging:
    accepted_events: ["compute.*", "volume.[ab]"]
    accepted_priorities: [info, error]
  log:
group_2:
  messaging:
    accepted_priorities:
      - critical
`;

/** What is wrong with a file, and how the error begins after its path. */
const BAD: readonly (readonly [string, RegExp])[] = [
  ['g:\n  log:\n    accepted_event: [a]\n', /^g\.log: .*accepted_event/],
  ['g:\n  log:\n    accepted_events: a\n', /^g\.log\.accepted_events: /],
  ['g:\n  log:\n    accepted_events: [a, {b: c}]\n', /^g\.log\.accepted_events\.1: /],
  ['g: 7\n', /^g: /],
  ['- a\n', /^Invalid input/],
  ['', /^Invalid input/],
  ['g: {half\n', /line \d/],
];

describe('a routing file', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'posthorn-routing-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  const read = async (text: string): Promise<Awaited<ReturnType<typeof routingFile>>> => {
    const path = join(folder, 'routing.yaml');
    await writeFile(path, text);
    return await routingFile(path);
  };

  it('has the rules in the form of oslo.messaging, for routing to take', async () => {
    const rules = await read(GOOD);
    expect(rules).to.deep.equal({
      group_1: {
        messaging: { accepted_events: ['compute.*', 'volume.[ab]'], accepted_priorities: ['info', 'error'] },
        log: null,
      },
      group_2: { messaging: { accepted_priorities: ['critical'] } },
    });
    expect(
      routing(rules, [
        { ...recording(), name: 'messaging' },
        { ...recording(), name: 'log' },
      ]).name,
    ).to.equal('routing');
  });

  for (const [text, wrong] of BAD)
    it(`that is wrong is refused, and the entry named: ${JSON.stringify(text)}`, async () => {
      const error = await read(text).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).to.be.instanceOf(ConfigError);
      const { path, message } = error as ConfigError;
      expect(path).to.equal(join(folder, 'routing.yaml'));
      expect(message.slice(path.length + 2)).to.match(wrong);
    });

  it('that is not there is refused by its name', async () => {
    const path = join(folder, 'missing.yaml');
    const error = await routingFile(path).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(ConfigError).with.property('path', path);
  });
});
