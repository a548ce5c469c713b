import { ConfigError } from '@posthorn/core';
import { expect } from 'chai';
import { noop, type Outlet, recording } from '../src/outlets.ts';
import { globToRegExp, type RoutingRules, routing } from '../src/routing.ts';
import { notification, open, rejection, surroundings, thrownBy } from './support.ts';

/** Checked against Python's fnmatch.fnmatchcase. */
const GLOBS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  ['compute.*', ['compute.', 'compute.a.b', 'compute.\n'], ['compute', 'computeX', 'a.compute.b']],
  ['*.end', ['a.end', '.end', 'a\nb.end'], ['a.end.', 'aXend']],
  ['?.a', ['x.a'], ['.a', 'xx.a']],
  ['[abc].x', ['a.x', 'c.x'], ['d.x', 'ab.x']],
  ['[a-c]', ['b'], ['d', '-']],
  ['[!abc]', ['d', '!'], ['a', '']],
  ['[^a]', ['^', 'a'], ['b']],
  ['[]a]', [']', 'a'], ['b', '[]a]']],
  ['[!]a]', ['b'], [']', 'a']],
  ['[]', ['[]'], ['', 'a']],
  ['[!]', ['[!]'], ['!', 'a']],
  ['[ab', ['[ab'], ['a']],
  ['[\\]', ['\\'], [']']],
  ['a+(b|c){2}$^', ['a+(b|c){2}$^'], ['ab', 'abb']],
  ['', [''], ['a']],
];

const names = (outlet: { readonly notifications: readonly { readonly eventType: string }[] }): string[] =>
  outlet.notifications.map(({ eventType }) => eventType);

async function route(
  rules: RoutingRules,
  outlets: readonly Outlet[],
  ...told: readonly [string, string][]
): Promise<void> {
  await using transport = await open();
  const outlet = routing(rules, outlets);
  for (const [eventType, priority] of told)
    await outlet.notify(notification({ eventType, priority: priority as 'info' }), surroundings(transport));
}

describe('a routing pattern', () => {
  for (const [glob, yes, no] of GLOBS)
    it(`is Python's fnmatch: ${JSON.stringify(glob)}`, () => {
      for (const text of yes) expect(globToRegExp(glob).test(text), `matches ${JSON.stringify(text)}`).to.equal(true);
      for (const text of no) expect(globToRegExp(glob).test(text), `not ${JSON.stringify(text)}`).to.equal(false);
    });
});

describe('routing', () => {
  it('needs every kind of rule to match, and of a list one pattern', async () => {
    const test = recording();
    const rules = { g: { test: { accepted_events: ['a.*', 'b.*'], accepted_priorities: ['info', 'ERR*'] } } };
    await route(rules, [test], ['a.1', 'info'], ['b.1', 'error'], ['a.2', 'warn'], ['c.1', 'info']);
    expect(names(test)).to.deep.equal(['a.1', 'b.1']);
  });

  it('accepts everything without rules, and nothing with an empty list', async () => {
    const [all, none] = [recording(), { ...recording(), name: 'none' }];
    await route({ g: { test: null, none: { accepted_events: [] } } }, [all, none], ['a', 'info']);
    expect([names(all), names(none)]).to.deep.equal([['a'], []]);
  });

  it('tells each outlet once, however many groups name it', async () => {
    const test = recording();
    await route(
      { one: { test: {} }, two: { test: {} }, three: { test: { accepted_events: ['z'] } } },
      [test],
      ['a', 'info'],
    );
    expect(names(test)).to.deep.equal(['a']);
  });

  it('accepts by any group', async () => {
    const test = recording();
    const rules = { one: { test: { accepted_events: ['a'] } }, two: { test: { accepted_priorities: ['error'] } } };
    await route(rules, [test], ['a', 'info'], ['b', 'error'], ['b', 'info']);
    expect(names(test)).to.deep.equal(['a', 'b']);
  });

  it('gives each outlet a copy of its own, and lets no failure keep others from it', async () => {
    const test = recording();
    const spoiling: Outlet = {
      name: 'spoiling',
      async notify({ payload }) {
        Object.assign(payload as object, { spoiled: true });
        throw new Error('no');
      },
    };
    const told = route({ g: { spoiling: {}, test: {} } }, [spoiling, test], ['a', 'info']);
    expect(await rejection(told)).to.have.property('message', 'no');
    expect(test.notifications[0]?.payload).to.deep.equal(notification().payload);
  });

  it('refuses what is wrong, and names it', () => {
    const wrong: readonly (readonly [unknown, string])[] = [
      [{ g: { nowhere: {} } }, 'routing.g.nowhere: no such outlet'],
      [{ g: null }, 'routing.g: expected outlets with their rules'],
      [{ g: { noop: { accepted_event: ['a'] } } }, 'routing.g.noop.accepted_event: no such rule'],
      [{ g: { noop: { accepted_events: 'a' } } }, 'routing.g.noop.accepted_events: expected a list of patterns'],
      [
        { g: { noop: { accepted_events: ['a', '[z-a]'] } } },
        'routing.g.noop.accepted_events.1: "[z-a]" is not a pattern',
      ],
    ];
    for (const [rules, message] of wrong) {
      const error = thrownBy(() => routing(rules as RoutingRules, [noop()]));
      expect(error).to.be.instanceOf(ConfigError).with.property('message', message);
    }
  });
});
