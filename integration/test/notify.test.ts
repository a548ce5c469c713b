import { describeBadOslo } from '../src/suites/notify-oslo-bad.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) {
  describe(`bad notifications on the oslo wire over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describeBadOslo(transport);
  });
}
