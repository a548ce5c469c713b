import { Lab } from '@posthorn/conformance';
import type { Context } from '@posthorn/core';
import type { CallInfo } from '@posthorn/rpc';
import { expect } from 'chai';
import sinon from 'sinon';
import type { TransportUnderTest } from '../transports.ts';

const HOUR_MS = 3_600_000;

/** Calls between two wall clocks. */
export function describeClocks(transport: TransportUnderTest): void {
  afterEach(() => {
    sinon.restore();
  });

  for (const [which, shiftMs] of [
    ['ahead of', HOUR_MS],
    ['behind', -HOUR_MS],
  ] as const)
    it(`a call works from a client whose clock is an hour ${which} the server's`, async () => {
      await using lab = new Lab(transport);
      const dates: number[] = [];
      await lab.serve({
        left(_context: Context, _args: object, { deadline = 0 }: CallInfo) {
          dates.push(Date.now());
          return deadline - performance.now();
        },
      });
      const client = await lab.client({ timeoutMs: 5_000 });
      await client.call({}, 'left');
      const [reference = 0] = dates.splice(0);
      const clock = sinon.useFakeTimers({ now: Date.now() + shiftMs, toFake: ['Date'] });
      const sentAt = Date.now();
      const calling = client.call({}, 'left');
      clock.restore();
      expect(await calling).to.be.within(1_000, 5_001);
      expect(Math.abs(sentAt - reference)).to.be.above(HOUR_MS - 60_000);
      expect(Math.abs((dates[0] ?? 0) - reference)).to.be.below(60_000);
    });
}
