import { describeBadOslo } from '../src/suites/notify-oslo-bad.ts';
import { transports } from '../src/transports.ts';

// Over AMQP 1.0 the oslo wire has another form, and tests of its own.
for (const transport of transports().filter(({ name }) => !/broker|AMQP 1\.0/.test(name))) {
  describe(`bad notifications on the oslo wire over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describeBadOslo(transport);
  });
}
