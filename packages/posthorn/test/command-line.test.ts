import { messageOf } from '@posthorn/core';
import { expect } from 'chai';
import { run } from '../src/cli/command.ts';
import { UsageError } from '../src/cli/usage.ts';

const SECRET = 'correct horse battery staple';
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
});
