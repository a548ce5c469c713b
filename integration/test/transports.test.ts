import { describeTransport } from '@posthorn/conformance';
import { transports } from '../src/transports.ts';

for (const transport of transports()) {
  describe('the patterns', () => {
    before(async function () {
      await transport.ready(this);
    });

    describeTransport(transport.name, transport);
  });
}
