import type { ActivityRow, TelemetryReport } from '@posthorn/telemetry';
import { expect } from 'chai';
import { Load } from '../src/cli/load.ts';
import { type Screen, SORTS, screenOf, sorted } from '../src/cli/top-screen.ts';

/** A bucket of about 1 ms, and one of about 1 s. */
const [MILLISECOND, SECOND] = [80, 160];

function row(name: string, more: Partial<ActivityRow> = {}): ActivityRow {
  const place = { direction: 'send', pattern: 'rpc', operation: 'call', exchange: 'nova', topic: 'compute' } as const;
  return { ...place, name, count: 10, errors: {}, latency: [[MILLISECOND, 10]], inFlight: 0, ...more };
}

function report(instance: string, rows: readonly ActivityRow[], more: Partial<TelemetryReport> = {}): TelemetryReport {
  const transport = {
    driver: 'rabbit',
    status: 'connected',
    health: 'healthy',
    reconnects: 0,
    lateSettlements: 0,
  } as const;
  const who = { version: 1, service: 'api', instance, host: 'web1', pid: 7, transport } as const;
  return { ...who, overMs: 1_000, everyMs: 1_000, ended: false, dropped: { spans: 0, failures: 0 }, rows, ...more };
}

describe('the load that services report', () => {
  it('adds up what several processes do in one place', () => {
    const load = new Load();
    load.add(report('a', [row('reboot', { errors: { TIMEOUT: 2 }, inFlight: 1 })]), 0);
    load.add(report('b', [row('reboot', { errors: { TIMEOUT: 1, REMOTE: 6 }, inFlight: 2 })], { overMs: 2_000 }), 0);
    const { places } = load.snapshot(100);
    expect(places).to.have.length(1);
    expect(places[0]).to.deep.include({ processes: 2, perSecond: 15, failedPerSecond: 5.5, inFlight: 3 });
    expect(Object.entries(places[0]?.errors ?? {})).to.deep.equal([
      ['REMOTE', 3],
      ['TIMEOUT', 2.5],
    ]);
  });

  it('keeps apart what differs in anything', () => {
    const load = new Load();
    const others = [
      { direction: 'process' },
      { operation: 'cast' },
      { exchange: 'cinder' },
      { topic: 'volume' },
      { name: 'build' },
    ] as const;
    load.add(report('a', [row('reboot'), ...others.map((other) => row('reboot', other))]), 0);
    expect(load.snapshot(0).places).to.have.length(6);
  });

  it('tells latencies of the last ten reports', () => {
    const load = new Load();
    load.add(report('a', [row('reboot', { latency: [[SECOND, 1_000]] })]), 0);
    expect(load.snapshot(0).places[0]?.p50Ms).to.be.closeTo(1_070, 60);
    for (let second = 1; second <= 9; second++) load.add(report('a', [row('reboot')]), second * 1_000);
    expect(load.snapshot(9_000).places[0]?.p99Ms).to.be.closeTo(1_070, 60);
    load.add(report('a', [row('reboot')]), 10_000);
    expect(load.snapshot(10_000).places[0]?.p99Ms).to.be.closeTo(1.07, 0.06);
  });

  it('shows a place for a minute after something happened there', () => {
    const load = new Load();
    load.add(report('a', [row('reboot')]), 0);
    for (let second = 1; second <= 60; second++) load.add(report('a', []), second * 1_000);
    expect(load.snapshot(60_000).places[0]).to.deep.include({ perSecond: 0, inFlight: 0 });
    expect(load.snapshot(60_001).places).to.deep.equal([]);
  });

  it('counts nothing of a process that went silent, and forgets it in the end', () => {
    const load = new Load();
    load.add(report('a', [row('reboot')]), 0);
    expect(load.snapshot(3_500).processes[0]).to.deep.include({ silent: false, sentPerSecond: 10 });
    const { processes, places } = load.snapshot(3_501);
    expect(processes[0]).to.deep.include({ silent: true, sentPerSecond: 0 });
    expect(places[0]?.perSecond).to.equal(0);
    expect(load.snapshot(30_001).processes).to.deep.equal([]);
  });

  it('forgets a process that said goodbye', () => {
    const load = new Load();
    load.add(report('a', [row('reboot')]), 0);
    load.add(report('a', [], { ended: true }), 500);
    expect(load.snapshot(500).processes).to.deep.equal([]);
  });

  it('stays bounded, whatever reports', () => {
    const load = new Load();
    for (let index = 0; index < 6_000; index++) load.add(report(`i${index}`, [row(`method-${index}`)]), 0);
    const { processes, places } = load.snapshot(0);
    expect(processes).to.have.length(1_000);
    expect(places.length).to.be.at.most(5_000);
  });
});

describe('the screen of top', () => {
  const screen: Screen = { title: 'rabbit host1', columns: 120, rows: 40, sort: 'rate', paint: (_, text) => text };
  const load = (): Load => {
    const all = new Load();
    const slow = row('build', { count: 2, errors: { TIMEOUT: 1 }, latency: [[SECOND, 2]], inFlight: 4 });
    all.add(report('a', [row('reboot'), slow]), 0);
    const degraded = { ...report('x', []).transport, health: 'degraded' } as const;
    const listened = row('instance.end', { direction: 'process', operation: 'listen', topic: 'notifications' });
    all.add(report('b', [listened], { service: 'meter', transport: degraded }), 0);
    return all;
  };
  const names = (by: Screen['sort']): readonly string[] =>
    sorted(load().snapshot(0).places, by).map(({ name }) => name);

  it('shows processes, and what they do by topic and method', () => {
    const lines = screenOf(load().snapshot(0), screen).map((line) => line.replace(/ {2,}/g, '  '));
    expect(lines).to.deep.equal([
      'posthorn top  rabbit host1  2 services in 2 processes  12/s sent  10/s processed  1/s failed',
      '',
      'SERVICE  HOST  TRANSPORT  SENT/S  DONE/S  FLIGHT  FAIL/S',
      'api  web1:7  rabbit healthy  12  0  4  1',
      'meter  web1:7  rabbit degraded  0  10  0  0',
      '',
      'WHAT  TOPIC  METHOD OR EVENT  PER S  P50  P99  FLIGHT  FAIL/S',
      'call  nova/compute  reboot  10  1.1 ms  1.1 ms  0  0',
      'listen  nova/notifications  instance.end  10  1.1 ms  1.1 ms  0  0',
      'call  nova/compute  build  2  1.1 s  1.1 s  4  1',
      '  └ TIMEOUT 1/s',
    ]);
  });

  it('sorts by rate, errors, latency, work in flight or name', () => {
    expect(names('rate')).to.deep.equal(['reboot', 'instance.end', 'build']);
    for (const by of ['errors', 'p99', 'flight'] as const) expect(names(by)[0], by).to.equal('build');
    expect(names('name')).to.deep.equal(['build', 'reboot', 'instance.end']);
  });

  for (const [columns, rows] of [
    [80, 12],
    [60, 16],
    [200, 10],
  ] as const)
    it(`fits a terminal of ${columns} by ${rows}, and says what it left out`, () => {
      const all = new Load();
      for (let index = 0; index < 50; index++)
        all.add(report(`i${index}`, [row(`method-${'x'.repeat(100)}-${index}`)], { service: 's'.repeat(90) }), 0);
      for (const sort of SORTS) {
        const lines = screenOf(all.snapshot(0), { ...screen, columns, rows, sort });
        expect(lines).to.have.length.at.most(rows);
        expect(Math.max(...lines.slice(1).map((line) => line.length))).to.be.at.most(columns);
        expect(lines.join('\n')).to.match(/… \d+ more lines/);
      }
    });

  it('writes nothing that a terminal obeys', () => {
    const all = new Load();
    const bad = { operation: '\x1b[2J', name: '\x1b]0;x\x07', topic: '\r\n', errors: { '\x1b[31m': 1 } };
    all.add(report('a', [row('x', bad)], { service: '\x9b2J', host: '\x1b' }), 0);
    for (const line of screenOf(all.snapshot(0), screen)) expect(line).to.not.match(/\p{Cc}/u);
  });

  it('says what to do where nobody reports', () => {
    const lines = screenOf(new Load().snapshot(0), screen);
    expect(lines.join(' ')).to.include(
      'services report when they call reportTelemetry(transport), or run as posthorn serve',
    );
  });
});
