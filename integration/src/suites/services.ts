import type { TransportUnderTest } from '../transports.ts';
import { describeServiceFailures } from './services-failures.ts';
import { describeMessages } from './services-messages.ts';

/** What services promise on every transport. */
export function describeServices(transport: TransportUnderTest): void {
  describe(`services over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describeMessages(transport);
    describeServiceFailures(transport);
  });
}
