import { type Message, newId } from '@posthorn/core';
import type { ReceivedMessage } from '@posthorn/messaging';
import { expect } from 'chai';
import { type PlaceCandidate, places } from '../src/places.ts';
import { connectQuietly } from '../src/rabbit-lab.ts';
import { Counter } from '../src/scenarios/meter.ts';
import {
  FORGERIES,
  METERING,
  METERS,
  type Metered,
  meterPublishers,
  THIRD_PARTY,
} from '../src/scenarios/metering-publishers.ts';
import { Transcript } from '../src/scenarios/transcript.ts';
import { waitFor } from '../src/wait-for.ts';

const FIELDS = [
  ...['message_id', 'publisher_id', 'timestamp', 'message_type', 'message_type_version'],
  ...['payload', 'signature'],
];
const REFUSED = 'refused unsigned, wrong-signature, wrong-signature, wrong-signature';
const RECEIVERS = ['workers', 'auditor', 'collector'];

const TOLD = [
  ...['nova', 'glance', 'third-party'].map((who) => `${who}: published 100 meters`),
  ...RECEIVERS.flatMap((who) => [`${who}: received 300 meters`, `${who}: ${REFUSED}`]),
  'collector: received what nobody told it of: image.size 1.1',
];

function metersOf({ received }: Metered, who: string): ReceivedMessage[] {
  return (received.get(who) ?? []).filter(({ payload }) => payload instanceof Counter);
}

describe('metering publishers', function () {
  this.timeout(60_000);
  const run = async (url: string, site = 'here'): Promise<Metered & { readonly told: readonly string[] }> => {
    const transcript = new Transcript();
    const { received, refused } = await meterPublishers({ url, site, ...transcript });
    return { received, refused, told: transcript.lines };
  };

  for (const { name, open } of places())
    describe(`over ${name}`, () => {
      it('E4, G-17, G-18, G-21: three workers get 300 meters in total, the auditor 300, the collector 300 and a type that nobody knew', async function () {
        await using place = await open(this);
        const story = await run(place.url);
        expect(story.told).to.deep.equal(TOLD.toSorted());
        for (const who of RECEIVERS)
          expect(new Set(metersOf(story, who).map(({ messageId }) => messageId)).size, who).to.equal(METERS);
        expect(story.received.get('workers')).to.have.length(METERS);
        expect(story.received.get('auditor')).to.have.length(METERS);
        const [unknown] = (story.received.get('collector') ?? []).filter(
          ({ payload }) => !(payload instanceof Counter),
        );
        expect(unknown).to.include({ type: 'image.size', version: '1.1', publisherId: 'glance', key: 'image.size' });
        expect(unknown?.payload).to.deep.equal({ bytes: 4_096 });
      });

      it('E4, G-14, G-22, G-28: what a router sent as a Counter arrives as one, by exchange and key', async function () {
        await using place = await open(this);
        const story = await run(place.url);
        for (const who of RECEIVERS)
          for (const { payload, exchange, key, publisherId } of metersOf(story, who)) {
            expect(String(payload)).to.match(new RegExp(`^1 uses of here/${publisherId}-\\d+$`));
            expect(exchange).to.equal(publisherId === 'third-party' ? THIRD_PARTY : METERING);
            expect(key).to.equal('metering');
          }
      });

      it('E4, G-05, G-06, G-13: the envelope has exactly the seven fields, names no method, and asks for no reply', async function () {
        await using place = await open(this);
        await using transport = await connectQuietly(place.url);
        const tapped: Message[] = [];
        await transport.subscribe(
          [METERING, THIRD_PARTY].map((exchange) => ({ kind: 'topic', exchange, pattern: '#' })),
          (delivery) => {
            tapped.push(delivery.message);
            void delivery.settle('accept');
          },
        );
        const story = await run(place.url);
        await waitFor('all that was published', () => tapped.length === METERS + FORGERIES + 1);
        // Forgeries come last, and bear ids of genuine messages.
        const wire = new Map(tapped.toReversed().map((message) => [message.messageId, message]));
        for (const { messageId, envelope } of story.received.get('collector') ?? []) {
          const { body, replyTo, correlationId, headers } = wire.get(messageId) ?? { body: Buffer.from('""') };
          const travelled: unknown = JSON.parse(Buffer.from(body).toString());
          expect(travelled).to.have.all.keys(FIELDS).and.to.deep.equal(envelope);
          expect({ replyTo, correlationId }).to.deep.equal({ replyTo: undefined, correlationId: undefined });
          expect(Object.keys(headers ?? {})).to.deep.equal([]);
        }
      });
    });

  it('E4, G-23: two buses in one process do not mix, be they of one kind or of two', async function () {
    const [memory, ...brokers] = places();
    const kinds = [memory, memory, ...brokers].filter((one): one is PlaceCandidate => one !== undefined);
    const all = await Promise.all(kinds.map(({ open }) => open(this)));
    try {
      const sites = all.map(({ url }) => ({ url, site: newId() }));
      const stories = await Promise.all(sites.map(({ url, site }) => run(url, site)));
      for (const [index, story] of stories.entries()) {
        const site = sites[index]?.site;
        expect(story.told).to.deep.equal(TOLD.toSorted());
        for (const { payload } of metersOf(story, 'collector'))
          expect(payload).to.have.property('resource').that.contains(`${site}/`);
      }
    } finally {
      for (const place of all) await place[Symbol.asyncDispose]();
    }
  });
});
