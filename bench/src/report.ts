import { availableParallelism, cpus } from 'node:os';
import type { Figures } from './figures.ts';
import { PREFETCH } from './work.ts';

/** Shows figures as they come. */
export interface Report {
  begin(broker: string | undefined): void;
  add(figures: Figures): void;
  end(): void;
}

/** One object a line. */
export class Json implements Report {
  begin(): void {}

  add(figures: Figures): void {
    console.log(JSON.stringify(figures));
  }

  end(): void {}
}

const COLUMNS: readonly { readonly title: string; readonly text: (figures: Figures) => string }[] = [
  { title: 'in flight', text: ({ inFlight }) => `${inFlight}` },
  { title: 'calls/s', text: ({ rate }) => `${rate}` },
  { title: 'twin', text: ({ twinRate }) => `${twinRate ?? '-'}` },
  { title: 'ratio', text: ({ ratio }) => ratio?.toFixed(2) ?? '-' },
  { title: 'p50 ms', text: ({ p50Ms }) => p50Ms.toFixed(2) },
  { title: 'p99 ms', text: ({ p99Ms }) => p99Ms.toFixed(2) },
  { title: 'twin p50', text: ({ twinP50Ms }) => twinP50Ms?.toFixed(2) ?? '-' },
  { title: 'CPU µs/call', text: ({ cpuUsPerCall }) => cpuUsPerCall.toFixed(0) },
  { title: 'twin CPU', text: ({ twinCpuUsPerCall }) => twinCpuUsPerCall?.toFixed(0) ?? '-' },
  { title: 'frames/call', text: ({ framesPerCall }) => framesPerCall?.toFixed(2) ?? '-' },
];

/** For people. */
export class Table implements Report {
  begin(broker: string | undefined): void {
    const host = [`Node ${process.version}`, `${availableParallelism()} × ${cpus()[0]?.model.trim() || process.arch}`];
    const where = broker === undefined ? 'in one process' : `RabbitMQ ${broker}; client and server are two processes`;
    console.log([...host, where].join(', '));
    console.log(`closed loop; ${PREFETCH} prefetched, no confirms, not persistent; medians of slices taken in turns`);
    if (broker !== undefined) console.log('twin: plain amqplib with the same promises and the same socket settings');
    console.log(`\n${COLUMNS.map(({ title }) => title).join('  ')}`);
  }

  add(figures: Figures): void {
    console.log(COLUMNS.map(({ title, text }) => text(figures).padStart(title.length)).join('  '));
  }

  end(): void {
    console.log('\nCPU: client and server together. Frames: both directions, acknowledgements included.');
  }
}
