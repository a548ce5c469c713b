import { Publisher } from '@posthorn/messaging';
import { expect } from 'chai';
import { Network } from '../src/network.ts';
import { places } from '../src/places.ts';
import { rejection } from '../src/rabbit-lab.ts';
import { waitFor } from '../src/wait-for.ts';

describe('closing during an outage', function () {
  this.timeout(30_000);

  for (const { name, open } of places())
    for (const [how, options] of [
      ['', {}],
      [', at once', { signal: AbortSignal.abort() }],
    ] as const)
      it(`over ${name}${how}: what waits for the connection is refused, and nothing is left pending`, async function () {
        await using place = await open(this);
        await using network = await Network.open(place.url);
        const transport = await network.connect();
        const publisher = new Publisher(transport, { exchange: 'e', publisherId: 'p' });
        await publisher.publish({ messageType: 't', version: '1.0', payload: 'before' });
        network.cut();
        await waitFor('the loss', () => transport.status.state !== 'connected');
        const publishing = rejection(publisher.publish({ messageType: 't', version: '1.0', payload: 'waits' }));
        const began = performance.now();
        await transport.close(options);
        expect(await publishing).to.include({ code: 'CLOSED' });
        expect(performance.now() - began).to.be.below(5_000);
      });
});
