import { expect } from 'chai';
import type { SpanRecord } from '../src/index.ts';
import { SpanOutlet } from '../src/span-outlet.ts';

function span(traceId: string, spanId: string): SpanRecord {
  const what = { direction: 'send', pattern: 'rpc', operation: 'call', topic: 'compute', name: 'reboot' } as const;
  return { traceId, spanId, ...what, service: 'api', host: 'web1', pid: 7, startMs: 0, durationMs: 1 };
}

describe('the outlet of spans', () => {
  it('sends what came in one turn of the event loop as one batch for each trace', async () => {
    const batches: (readonly [string, readonly string[]])[] = [];
    let done = (): void => undefined;
    const sent = new Promise<void>((resolve) => {
      done = resolve;
    });
    const outlet = new SpanOutlet(10, (traceId, spans) => {
      batches.push([traceId, spans.map(({ spanId }) => spanId)]);
      if (traceId === 'b') done();
    });
    outlet.add(span('a', '1'));
    outlet.add(span('b', '2'));
    outlet.add(span('a', '3'));
    expect(batches).to.deep.equal([]);
    await sent;
    expect(batches).to.deep.equal([
      ['a', ['1', '3']],
      ['b', ['2']],
    ]);
  });

  it('counts and forgets what comes above its rate, until it is refilled', () => {
    let sent = 0;
    const outlet = new SpanOutlet(3, (_, spans) => {
      sent += spans.length;
    });
    for (let index = 0; index < 10; index++) outlet.add(span('a', `${index}`));
    outlet.flush();
    expect([sent, outlet.dropped]).to.deep.equal([3, 7]);
    outlet.refill();
    outlet.add(span('a', 'x'));
    outlet.flush();
    expect([sent, outlet.dropped]).to.deep.equal([4, 7]);
  });

  it('sends what waits when it is flushed, once', async () => {
    let batches = 0;
    const outlet = new SpanOutlet(3, () => {
      batches++;
    });
    outlet.add(span('a', '1'));
    outlet.flush();
    await new Promise((resolve) => setImmediate(resolve));
    expect(batches).to.equal(1);
  });
});
