import type { TransportUnderTest } from '../transports.ts';
import { describeMessageDelivery } from './messaging-delivery.ts';
import { describeMailboxes } from './messaging-mailboxes.ts';
import { describePublishing } from './messaging-publish.ts';
import { describeSignatures } from './messaging-signatures.ts';
import { describeSubscribing } from './messaging-subscribe.ts';

/** What publish and subscribe promise on every transport: the same. */
export function describeMessaging(transport: TransportUnderTest): void {
  describe(`G-03: messaging over ${transport.name}`, () => {
    before(async function () {
      await transport.ready(this);
    });

    describePublishing(transport);
    describeSubscribing(transport);
    describeMessageDelivery(transport);
    describeSignatures(transport);
    describeMailboxes(transport);
  });
}
