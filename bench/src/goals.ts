import type { Cell, Column, Row } from './scenario.ts';

/** What is to hold, and the figure of the rows that tells. */
interface Goal {
  readonly what: string;
  readonly transport: string;
  readonly scenario: string;
  /** Which rows of the scenario it is about. Default: all. */
  readonly where?: (row: Row) => boolean;
  readonly figure: (row: Row) => number | undefined;
  /** Of several rows the worst counts. */
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
}

/** How a goal was met: a line of the table. */
export const GOAL_COLUMNS: readonly Column[] = [
  { key: 'what', title: 'what' },
  { key: 'bound', title: 'bound' },
  { key: 'worst', title: 'measured', digits: 2 },
  { key: 'met', title: 'met' },
];

const number = (value: Cell | undefined): number | undefined => (typeof value === 'number' ? value : undefined);

const of =
  (key: string) =>
  (row: Row): number | undefined =>
    number(row[key]);

const quotient =
  (over: string, under: string) =>
  (row: Row): number | undefined => {
    const [a, b] = [number(row[over]), number(row[under])];
    return a === undefined || b === undefined ? undefined : a / b;
  };

const inFlight =
  (...levels: readonly number[]) =>
  (row: Row): boolean =>
    levels.some((level) => row['inFlight'] === level);

const grown =
  (what: string, least: number) =>
  (row: Row): boolean =>
    row['what'] === what && (number(row['count']) ?? 0) >= least;

const beside = (rival: string) => (row: Row) =>
  row['inFlight'] === 100 && row['set'] === '-' && String(row['rival']).startsWith(rival);

const RABBIT = { transport: 'rabbit' } as const;
const RPC = { ...RABBIT, scenario: 'rpc' } as const;
const SCALE = { ...RABBIT, scenario: 'scale' } as const;
const FAR = { ...RABBIT, scenario: 'roundtrips' } as const;
const RATIO = { figure: of('ratio'), bound: { atLeast: 0.9 } } as const;

const GOALS: readonly Goal[] = [
  { ...RPC, ...RATIO, what: 'calls: of the twin, 10 to 1,000 in flight', where: inFlight(10, 100, 1_000) },
  {
    ...RPC,
    what: 'calls: p50 of the twin’s, 1 in flight',
    where: inFlight(1),
    figure: quotient('p50Ms', 'twinP50Ms'),
    bound: { atMost: 1.1 },
  },
  {
    ...RPC,
    what: 'calls: CPU of the twin’s',
    figure: quotient('cpuUsPerCall', 'twinCpuUsPerCall'),
    bound: { atMost: 1.5 },
  },
  {
    ...RPC,
    what: 'calls: of the library by default, at every load',
    figure: quotient('rate', 'defaultRate'),
    bound: { atLeast: 1 },
  },
  { ...RPC, what: 'the twin: of the untuned library', figure: of('twinOfUntuned'), bound: { atLeast: 1.3 } },
  { ...RABBIT, ...RATIO, scenario: 'publish', what: 'publishing: of the twin' },
  {
    ...RABBIT,
    ...RATIO,
    scenario: 'consume',
    what: 'consuming: of the twin, 256 prefetched',
    where: (row) => row['prefetch'] === 256,
  },
  { ...RABBIT, scenario: 'notify', what: 'notifications: of the twin', figure: of('ratio'), bound: { atLeast: 0.8 } },
  {
    ...RABBIT,
    scenario: 'server-overhead',
    what: 'a server with nothing to do: of the plain library',
    figure: of('ratio'),
    bound: { atLeast: 0.8 },
  },
  { ...RATIO, transport: 'amqp1', scenario: 'rpc', what: 'calls over AMQP 1.0: of the twin' },
  { ...RATIO, transport: 'amqp1', scenario: 'publish', what: 'publishing over AMQP 1.0: of the twin' },
  {
    transport: 'memory',
    scenario: 'memory',
    what: 'calls within a process, a second',
    where: inFlight(100, 1_000),
    figure: of('rate'),
    bound: { atLeast: 200_000 },
  },
  {
    transport: 'memory',
    scenario: 'memory',
    what: 'calls within a process: of a bare loop',
    where: inFlight(100, 1_000),
    figure: of('ratio'),
    bound: { atLeast: 0.5 },
  },
  {
    ...SCALE,
    what: '10,000 calls in flight: of the peak',
    where: grown('in flight', 10_000),
    figure: of('ofPeak'),
    bound: { atLeast: 0.8 },
  },
  {
    ...SCALE,
    what: '1,000 clients: of one',
    where: grown('clients', 1_000),
    figure: of('ofFirst'),
    bound: { atLeast: 0.9 },
  },
  {
    ...SCALE,
    what: '5,000 topics: of one',
    where: grown('topics', 5_000),
    figure: of('ofFirst'),
    bound: { atLeast: 0.9 },
  },
  {
    ...SCALE,
    what: 'heap of a pending call, bytes',
    where: grown('pending', 1),
    figure: of('heapBytes'),
    bound: { atMost: 1_024 },
  },
  {
    ...SCALE,
    what: 'connections of a process, up to 200 processes',
    where: grown('processes', 1),
    figure: quotient('connections', 'processes'),
    bound: { atMost: 1 },
  },
  {
    ...FAR,
    what: 'a call over 50 ms each way: of the transit',
    where: ({ what }) => what === 'call',
    figure: of('ofTransit'),
    bound: { atMost: 1.1 },
  },
  {
    ...FAR,
    what: '1,000 casts over 200 ms each way: written, ms',
    where: ({ what }) => what === 'casts',
    figure: of('writtenMs'),
    bound: { atMost: 1_000 },
  },
  {
    ...FAR,
    what: '1,000 casts over 200 ms each way: confirmed, ms',
    where: ({ what }) => what === 'casts',
    figure: of('confirmedMs'),
    bound: { atMost: 1_400 },
  },
  {
    ...RABBIT,
    scenario: 'wires',
    what: 'the wire of oslo.messaging: of the native one',
    figure: of('ratio'),
    bound: { atLeast: 0.8 },
  },
  ...(
    [
      ['NestJS', 1.5],
      ['rabbitmq-client', 2.5],
      ['oslo.messaging', 20],
    ] as const
  ).map(
    ([rival, atLeast]): Goal => ({
      ...RABBIT,
      scenario: 'rivals',
      what: `calls, 100 in flight: times ${rival}`,
      where: beside(rival),
      figure: of('ratio'),
      bound: { atLeast },
    }),
  ),
];

/** How the goals were met by what was measured; those that nothing was measured for are left out. */
export function verdicts(rows: readonly Row[]): readonly Row[] {
  return GOALS.flatMap(({ what, transport, scenario, where = () => true, figure, bound }) => {
    const about = rows.filter((row) => row.scenario === scenario && row.transport === transport && where(row));
    const figures = about.map(figure).filter((value) => value !== undefined);
    if (figures.length === 0) return [];
    const isLeast = 'atLeast' in bound;
    const worst = isLeast ? Math.min(...figures) : Math.max(...figures);
    const limit = isLeast ? bound.atLeast : bound.atMost;
    const met = isLeast ? worst >= limit : worst <= limit;
    return [
      {
        scenario: 'goals',
        transport: 'all',
        what,
        bound: `${isLeast ? 'at least' : 'at most'} ${limit.toLocaleString('en')}`,
        worst,
        met: met ? 'yes' : 'no',
      },
    ];
  });
}
