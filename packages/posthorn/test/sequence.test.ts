import type { SpanRecord } from '@posthorn/telemetry';
import { expect } from 'chai';
import fc from 'fast-check';
import { type Sequence, type SequenceRow, sequenceOf } from '../src/cli/sequence.ts';
import { sequencePage, sequenceSvg } from '../src/cli/sequence-svg.ts';
import { sequenceText } from '../src/cli/sequence-text.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** A step; times are milliseconds since the trace began, by the clock of its host. */
function span(
  [service, direction, operation, name]: readonly [string, 'send' | 'process', string, string],
  [spanId, parentId]: readonly [string, string?],
  [startMs, endMs]: readonly [number, number],
  more: Partial<SpanRecord> = {},
): SpanRecord {
  const where = { exchange: 'nova', topic: 'topic', service, host: service, pid: 1 };
  const when = { startMs: 1_000_000 + startMs, durationMs: endMs - startMs };
  return { traceId: TRACE, spanId, parentId, direction, pattern: 'rpc', operation, name, ...where, ...when, ...more };
}

/** The API calls the conductor, which asks the scheduler, tells compute to build, and answers. Compute notifies. */
const BOOT: readonly SpanRecord[] = [
  span(['api', 'send', 'call', 'boot'], ['a'], [0, 50]),
  span(['conductor', 'process', 'serve', 'boot'], ['b', 'a'], [2, 48]),
  span(['conductor', 'send', 'call', 'select'], ['c', 'b'], [5, 20]),
  span(['scheduler', 'process', 'serve', 'select'], ['d', 'c'], [7, 18]),
  span(['conductor', 'send', 'cast', 'build'], ['e', 'b'], [22, 24]),
  span(['compute', 'process', 'serve', 'build'], ['f', 'e'], [26, 90]),
  span(['compute', 'send', 'notify', 'created'], ['g', 'f'], [80, 82], { pattern: 'notify' }),
  span(['collector', 'process', 'listen', 'created'], ['h', 'g'], [85, 86], { pattern: 'notify' }),
];

const STORY = [
  'api → conductor: call boot',
  'conductor → scheduler: call select',
  'scheduler ⇢ conductor: 15.0 ms',
  'conductor → compute: cast build · 64.0 ms',
  'conductor ⇢ api: 50.0 ms',
  'compute → collector: notify created · 1.0 ms',
];

function told({ participants, rows }: Sequence): readonly string[] {
  const name = (index: number): string => participants[index]?.label ?? '';
  const line = (row: SequenceRow): string => {
    if (row.kind === 'note') return `${name(row.at)}: ${row.text}`;
    return `${name(row.from)} ${row.kind === 'reply' ? '⇢' : '→'} ${name(row.to)}: ${row.text}`;
  };
  return rows.map(line);
}

function skewed(all: readonly SpanRecord[], shifts: Readonly<Record<string, number>>): readonly SpanRecord[] {
  return all.map((one) => ({ ...one, startMs: one.startMs + (shifts[one.service] ?? 0) }));
}

const plain = { columns: 200, paint: (_: string, text: string): string => text };

describe('a sequence of steps', () => {
  it('tells who sent what to whom, in the order in which it happened', () => {
    const sequence = sequenceOf(TRACE, BOOT);
    expect(told(sequence)).to.deep.equal(STORY);
    expect(sequence.participants.map(({ label }) => label)).to.deep.equal([
      ...['api', 'conductor', 'scheduler', 'compute', 'collector'],
    ]);
    expect(sequence.rows.map(({ atMs }) => atMs)).to.deep.equal([0, 5, 20, 22, 50, 80]);
  });

  it('is the same in whatever order the steps were told, and when one was told twice', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...BOOT, ...BOOT.slice(2, 4)], { minLength: 10 }), (spans) => {
        expect(told(sequenceOf(TRACE, spans))).to.deep.equal(STORY);
      }),
    );
  });

  it('is the same when the clocks of hosts differ by seconds', () => {
    const shift = fc.integer({ min: -5_000, max: 5_000 });
    const shifts = fc.record({ api: shift, conductor: shift, scheduler: shift });
    fc.assert(
      fc.property(shifts, (given) => {
        const sequence = sequenceOf(TRACE, skewed(BOOT, given));
        const calls = (lines: readonly string[]): readonly string[] =>
          lines.filter((line) => !line.includes('compute'));
        expect(calls(told(sequence))).to.deep.equal(calls(STORY));
      }),
    );
  });

  it('never tells an effect before its cause, nor a time before the one above, whatever the clocks say', () => {
    const shift = fc.integer({ min: -100_000, max: 100_000 });
    const services = ['api', 'conductor', 'scheduler', 'compute', 'collector'];
    fc.assert(
      fc.property(fc.array(shift, { minLength: 5, maxLength: 5 }), (given) => {
        const shifts = Object.fromEntries(services.map((service, index) => [service, given[index] ?? 0]));
        const sequence = sequenceOf(TRACE, skewed(BOOT, shifts));
        const story = told(sequence);
        const at = (part: string): number => story.findIndex((line) => line.includes(part));
        expect(story).to.have.members([...STORY]);
        for (const [cause, effect] of [
          ['call boot', 'call select'],
          ['call select', 'scheduler ⇢'],
          ['scheduler ⇢', 'cast build'],
          ['cast build', 'notify created'],
          ['cast build', 'conductor ⇢ api'],
        ] as const)
          expect(at(cause), `${cause} before ${effect} in ${story.join(', ')}`).to.be.lessThan(at(effect));
        const times = sequence.rows.map(({ atMs }) => atMs);
        expect(times).to.deep.equal(times.toSorted((a, b) => a - b));
      }),
    );
  });

  const REMOTE = { code: 'REMOTE', message: 'no such instance' };
  const TIMEOUT = { code: 'TIMEOUT', message: 'call boot timed out' };
  for (const { what, spans, story } of [
    {
      what: 'an answer that is a failure, in both hops that it goes back',
      spans: [
        span(['api', 'send', 'call', 'boot'], ['a'], [0, 50], { error: REMOTE }),
        span(['conductor', 'process', 'serve', 'boot'], ['b', 'a'], [2, 48], { error: REMOTE }),
      ],
      story: ['api → conductor: call boot', 'conductor ⇢ api: ✗ REMOTE: no such instance'],
    },
    {
      what: 'a call that timed out as having no answer, though its server has finished later',
      spans: [
        span(['api', 'send', 'call', 'boot'], ['a'], [0, 10], { error: TIMEOUT }),
        span(['conductor', 'process', 'serve', 'boot'], ['b', 'a'], [2, 48]),
      ],
      story: ['api → conductor: call boot · 46.0 ms', 'api: ✗ TIMEOUT: call boot timed out'],
    },
    {
      what: 'what nobody heard of as gone to its topic',
      spans: [span(['api', 'send', 'cast', 'boot'], ['a'], [0, 10])],
      story: ['api → topic: cast boot'],
    },
    {
      what: 'an answer by somebody who tells no steps',
      spans: [span(['api', 'send', 'call', 'boot'], ['a'], [0, 10])],
      story: ['api → topic: call boot', 'topic ⇢ api: 10.0 ms'],
    },
    {
      what: 'what came from somebody who tells no steps',
      spans: [span(['conductor', 'process', 'serve', 'boot'], ['b', 'a'], [2, 48])],
      story: ['not reporting → conductor: serve boot · 46.0 ms'],
    },
    {
      what: 'a listener that failed, where it failed',
      spans: [
        span(['compute', 'send', 'notify', 'created'], ['a'], [0, 1]),
        span(['collector', 'process', 'listen', 'created'], ['b', 'a'], [2, 4], { error: REMOTE }),
      ],
      story: ['compute → collector: notify created · 2.0 ms', 'collector: ✗ REMOTE: no such instance'],
    },
    {
      what: 'a fanout as an arrow to each',
      spans: [
        span(['api', 'send', 'cast', 'refresh'], ['a'], [0, 1]),
        span(['compute', 'process', 'serve', 'refresh'], ['b', 'a'], [2, 4], { server: 'host1', pid: 1 }),
        span(['compute', 'process', 'serve', 'refresh'], ['c', 'a'], [2.5, 4.5], { server: 'host2', pid: 2 }),
      ],
      story: ['api → compute host1: cast refresh · 2.0 ms', 'api → compute host2: cast refresh · 2.0 ms'],
    },
    {
      what: 'apart what was sent with one id, as it came',
      spans: [
        span(['api', 'send', 'call', 'stop'], ['a'], [0, 4]),
        span(['compute', 'process', 'serve', 'stop'], ['b', 'a'], [1, 2]),
        span(['api', 'send', 'call', 'start'], ['a'], [5, 9]),
        span(['compute', 'process', 'serve', 'start'], ['c', 'a'], [6, 7]),
        span(['api', 'send', 'call', 'start'], ['a'], [10, 16]),
        span(['compute', 'process', 'serve', 'start'], ['d', 'a'], [11, 12]),
      ],
      story: [
        ...['api → compute: call stop', 'compute ⇢ api: 4.0 ms'],
        ...['api → compute: call start', 'compute ⇢ api: 4.0 ms'],
        ...['api → compute: call start', 'compute ⇢ api: 6.0 ms'],
      ],
    },
    {
      what: 'what each server answered to a gathering call, and when',
      spans: [
        span(['api', 'send', 'gather', 'stats'], ['a'], [0, 30]),
        span(['one', 'process', 'serve', 'stats'], ['b', 'a'], [2, 9]),
        span(['two', 'process', 'serve', 'stats'], ['c', 'a'], [3, 20], { error: REMOTE }),
      ],
      story: [
        'api → one: gather stats',
        'api → two: gather stats',
        'one ⇢ api: 7.0 ms',
        'two ⇢ api: ✗ REMOTE: no such instance',
      ],
    },
    {
      what: 'what a process sends itself',
      spans: [
        span(['api', 'send', 'cast', 'note'], ['a'], [0, 1]),
        span(['api', 'process', 'serve', 'note'], ['b', 'a'], [2, 4]),
      ],
      story: ['api → api: cast note · 2.0 ms'],
    },
    {
      what: 'the answer of a service as the message that it is',
      spans: [
        span(['hello', 'send', 'call', 'world.get'], ['a'], [0, 1], { pattern: 'services' }),
        span(['world', 'process', 'serve', 'world.get'], ['b', 'a'], [2, 7], { pattern: 'services' }),
        span(['world', 'send', 'answer', 'world.get'], ['c', 'b'], [5, 6], { pattern: 'services' }),
        span(['hello', 'process', 'listen', 'world.get'], ['d', 'c'], [8, 9], { pattern: 'services' }),
      ],
      story: ['hello → world: call world.get · 5.0 ms', 'world ⇢ hello: answer world.get · 1.0 ms'],
    },
    { what: 'nothing out of nothing', spans: [], story: [] },
  ] as const)
    it(`shows ${what}`, () => {
      expect(told(sequenceOf(TRACE, spans))).to.deep.equal(story);
    });

  it('ends, and shows every step, where strangers made a circle of causes', () => {
    const circle = [
      span(['a', 'send', 'call', 'x'], ['1', '4'], [0, 1]),
      span(['b', 'process', 'serve', 'x'], ['2', '1'], [0, 1]),
      span(['b', 'send', 'call', 'y'], ['3', '2'], [0, 1]),
      span(['a', 'process', 'serve', 'y'], ['4', '3'], [0, 1]),
      span(['a', 'process', 'serve', 'self'], ['5', '5'], [0, 1]),
    ];
    expect(sequenceOf(TRACE, circle).rows.filter(({ kind }) => kind === 'request')).to.have.length(3);
  });
});

describe('the sequence in a terminal', () => {
  it('has a column for each participant and a line for each row', () => {
    expect(sequenceText(sequenceOf(TRACE, BOOT), plain).split('\n')).to.deep.equal([
      '             api         conductor        scheduler   compute                     collector',
      '              │              │                │          │                            │',
      '  +0.00 ms    ├─ call boot ─▶│                │          │                            │',
      '   +5.0 ms    │              ├─ call select ─▶│          │                            │',
      '  +20.0 ms    │              │◀┄┄┄ 15.0 ms ┄┄┄┤          │                            │',
      '  +22.0 ms    │              ├── cast build · 64.0 ms ──▶│                            │',
      '  +50.0 ms    │◀┄┄ 50.0 ms ┄┄┤                │          │                            │',
      '  +80.0 ms    │              │                │          ├─ notify created · 1.0 ms ─▶│',
      '              │              │                │          │                            │',
    ]);
  });

  it('fits the terminal by shortening what is written', () => {
    const long = BOOT.map((one) => ({ ...one, name: `${one.name}-${'x'.repeat(40)}` }));
    const lines = sequenceText(sequenceOf(TRACE, long), { ...plain, columns: 120 }).split('\n');
    expect(Math.max(...lines.map((line) => line.length))).to.be.at.most(120);
    expect(lines.join('\n')).to.include('…');
  });

  it('paints what failed, and nothing else, red', () => {
    const red: string[] = [];
    const paint = (style: string, text: string): string => {
      if (style === 'red') red.push(text);
      return text;
    };
    const error = { code: 'REMOTE', message: 'gone' };
    sequenceText(
      sequenceOf(TRACE, [
        { ...BOOT[0]!, error },
        { ...BOOT[1]!, error },
      ]),
      { ...plain, paint },
    );
    expect(red).to.have.length(1);
    expect(red[0]).to.include('✗ REMOTE: gone');
  });

  it('writes nothing that a terminal obeys', () => {
    const bad = BOOT.map((one) => ({ ...one, name: '\x1b[2Jx', service: `${one.service}\x07`, topic: '\x9b' }));
    expect(sequenceText(sequenceOf(TRACE, bad), plain)).to.not.match(/[^\P{Cc}\n]/u);
  });
});

describe('the sequence as SVG', () => {
  const error = { code: 'REMOTE', message: '<script>alert("&")</script>' };
  const failing = [
    { ...BOOT[0]!, error },
    { ...BOOT[1]!, error, service: 'a<b>' },
  ];

  it('has every participant twice, and every label', () => {
    const svg = sequenceSvg(sequenceOf(TRACE, BOOT));
    for (const name of ['api', 'conductor', 'scheduler', 'compute', 'collector'])
      expect(svg.split(`>${name}<`), name).to.have.length(3);
    for (const text of STORY.map((line) => line.split(': ')[1])) expect(svg).to.include(`>${text}<`);
    expect(svg).to.include('prefers-color-scheme: dark');
  });

  it('escapes what strangers wrote, and marks what failed', () => {
    const svg = sequenceSvg(sequenceOf(TRACE, failing));
    expect(svg).to.not.include('<script');
    expect(svg).to.include('✗ REMOTE: &lt;script&gt;');
    expect(svg).to.include('>a&lt;b&gt;<');
    expect(svg.match(/<g class="failed">/g)).to.have.length(1);
    expect(sequenceSvg(sequenceOf('"><script>', failing))).to.not.include('<script');
  });

  it('keeps everything within its frame', () => {
    const svg = sequenceSvg(sequenceOf(TRACE, BOOT));
    const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
    const xs = [...svg.matchAll(/ x2?="([\d.-]+)"/g)].map(([, x]) => Number(x));
    expect(Math.min(...xs)).to.be.at.least(0);
    expect(Math.max(...xs)).to.be.lessThan(width);
  });

  it('stands on a page that needs nothing else', () => {
    const page = sequencePage(sequenceOf(TRACE, failing));
    expect(page).to.match(/^<!doctype html>/);
    expect(page).to.include(`trace ${TRACE}`);
    expect(page).to.include('2 participants, 2 steps in 50.0 ms, 1 failed');
    expect(page).to.not.match(/(src|href)=/);
  });
});
