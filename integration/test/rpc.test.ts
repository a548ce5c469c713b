import { describeClocks } from '../src/suites/rpc-clocks.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) {
  describe(`RPC between two clocks over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describeClocks(transport);
  });
}
