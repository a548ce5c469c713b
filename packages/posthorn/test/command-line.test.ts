import { spawnSync } from 'node:child_process';
import { execPath } from 'node:process';
import { messageOf } from '@posthorn/core';
import { expect } from 'chai';
import { run } from '../src/cli/command.ts';
import { UsageError } from '../src/cli/usage.ts';

const SECRET = 'correct horse battery staple';
const MAIN = new URL('../src/cli.ts', import.meta.url).pathname;
const PUBLISH = ['publish', 'memory://', 'e', 'k'];

describe('the command line', () => {
  for (const [what, args] of [
    ['a payload that is no JSON', [...PUBLISH, '{half']],
    ['a key without an id', [...PUBLISH, '--sign-key', SECRET]],
    ['a key with an empty id', ['subscribe', 'memory://', 'e', '#', '--verify-key', `:${SECRET}`]],
    ['a secret that is too short', [...PUBLISH, '--sign-key', `k:${SECRET.slice(0, 15)}`]],
    ['a secret that the environment does not have', [...PUBLISH, '--sign-key', 'k:env:POSTHORN_NO_SUCH_KEY']],
    ['a secret in a file that is not there', [...PUBLISH, '--sign-key', 'k:file:/no/such/file']],
    ['a form of CloudEvents that there is not', [...PUBLISH, '--cloud-events', 'both']],
    ['a delay that is no duration', [...PUBLISH, '--delay', 'soon']],
    ['subscribing without a pattern', ['subscribe', 'memory://', 'e']],
    ['an unknown verb of dlq', ['dlq', 'empty', 'memory://', 'g']],
    ['dead letters of nobody', ['dlq', 'list', 'memory://']],
  ] as const)
    it(`refuses ${what}, and shows no secret`, async () => {
      const error = await run(args).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error, messageOf(error)).to.be.instanceOf(UsageError);
      expect(messageOf(error)).to.not.include(SECRET.slice(0, 15));
    });

  it('writes nothing that a terminal obeys, whatever an error says', () => {
    const driver = 'data:text/javascript,export const hostile = () => { throw new Error("clear \\x1b[2J") }';
    const line = ['call', 'hostile://x', 'topic', 'method', '--driver', driver];
    const { status, stderr } = spawnSync(execPath, ['--import', 'tsx', '-C', '@posthorn/source', MAIN, ...line]);
    expect(status).to.equal(1);
    expect(stderr.toString()).to.equal('posthorn: clear \u{FFFD}[2J\n');
  });
});
