import { readdirSync, readFileSync } from 'node:fs';
import { silent } from '@posthorn/core';
import { Notifier, parsePriority } from '@posthorn/notify';
import { type OsloOptions, oslo } from '@posthorn/oslo';
import { expect } from 'chai';
import { connect } from 'posthorn';
import { innerOf } from '../src/oslo-inner.ts';
import { type Published, PublishTap } from '../src/publish-tap.ts';
import { findRabbit, isSkip, type RabbitBroker, rabbitUrl } from '../src/rabbit-broker.ts';
import { skip } from '../src/skip.ts';
import { openVhost } from '../src/vhost.ts';

/** What Python's notifiers sent: one file per release and configuration. See the README above them. */
const HOME = new URL('../../packages/oslo/test/fixtures/notifications/', import.meta.url);

interface Captured {
  readonly exchange: string;
  readonly routingKey: string;
  readonly mandatory: boolean;
  readonly immediate: boolean;
  readonly properties: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly decoded: Readonly<Record<string, unknown>>;
}

const OPTIONS: Readonly<Record<string, OsloOptions>> = {
  default: {},
  durable: { durability: 'durable' },
  quorum: { durability: 'quorum' },
  'transient-quorum': { durability: 'quorum', transientQuorum: true },
};

const { every, notification }: Readonly<Record<string, { properties?: string[]; mandatory?: boolean }>> = JSON.parse(
  readFileSync(new URL('../differences.json', HOME), 'utf8'),
);

const files = readdirSync(HOME).sort();

describe('golden notifications of oslo.messaging', () => {
  let broker: RabbitBroker;

  before(async function () {
    this.timeout(180_000);
    const found = await findRabbit();
    if (isSkip(found)) return skip(this, 'golden notifications of oslo.messaging', found.skip);
    broker = found;
  });

  it('has fixtures of three releases in the default, durable and quorum configurations', () => {
    expect(files).to.include.members(
      ['14.0.3', '16.1.0', '18.3.0'].flatMap((version) =>
        ['default', 'durable', 'quorum'].map((variant) => `${version}-${variant}.json`),
      ),
    );
  });

  for (const file of files)
    for (const strict of [false, true])
      it(`sends what ${file.replace('.json', '')} sends ${strict ? 'strictly' : 'with the listed differences'}`, async () => {
        const variant = file.replace(/^[\d.]+-|\.json$/g, '');
        const messages: Readonly<Record<string, Captured>> = JSON.parse(readFileSync(new URL(file, HOME), 'utf8'));
        expect(Object.keys(messages)).not.to.be.empty;
        await using vhost = await openVhost(broker);
        await using tap = await PublishTap.open(vhost);
        for (const [kind, captured] of Object.entries(messages)) {
          const [notifications] = kind.split('-') as ['v1' | 'v2'];
          const wire = oslo({ ...OPTIONS[variant], strict, notifications });
          await using transport = await connect(rabbitUrl(vhost, { port: tap.port }), { wire, logger: silent });
          await send(new Notifier(transport, { publisherId: 'lab.host1' }), captured);
          const ours = tap.published.at(-1);
          if (ours === undefined) throw new Error('nothing was sent');
          const inner = notifications === 'v2' ? innerOf(ours.body) : JSON.parse(String(ours.body));
          expect(normal({ ...ours, decoded: inner }), kind).to.deep.equal(expected(captured, strict));
          expect(Object.keys(inner), kind).to.have.ordered.members(Object.keys(captured.decoded));
        }
      });
});

async function send(notifier: Notifier, { decoded }: Captured): Promise<void> {
  const context = Object.entries(decoded).filter(([key]) => key.startsWith('_context_'));
  await notifier.notify(
    parsePriority(decoded['priority']) ?? 'debug',
    Object.fromEntries(context.map(([key, value]) => [key.slice('_context_'.length), value])),
    String(decoded['event_type']),
    decoded['payload'],
  );
}

/** Without what differs from one time to the next, but for its form. */
function normal({ exchange, routingKey, mandatory, immediate, properties, headers, decoded }: Described): unknown {
  const { messageId, ...rest } = properties;
  const form = (value: unknown): string => String(value).replace(/[0-9a-f]/g, 'x');
  return {
    ...{ exchange, routingKey, mandatory, immediate, headers },
    properties: { ...rest, ...(messageId !== undefined && { messageId: form(messageId) }) },
    decoded: {
      ...decoded,
      message_id: form(decoded['message_id']),
      _unique_id: form(decoded['_unique_id']),
      timestamp: form(decoded['timestamp']),
    },
  };
}

type Described = Omit<Captured, 'headers' | 'properties'> & Pick<Published, 'headers' | 'properties'>;

function expected(captured: Captured, strict: boolean): unknown {
  const messageId = 'x'.repeat(32);
  const added = strict ? [] : (every?.properties ?? []);
  return normal({
    ...captured,
    mandatory: (!strict && notification?.mandatory) || captured.mandatory,
    properties: {
      ...captured.properties,
      ...Object.fromEntries(added.map((name) => [name, messageId])),
    } as Published['properties'],
  });
}
