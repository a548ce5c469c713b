import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { Arrivals } from '../src/arrivals.ts';
import { rabbitUrl } from '../src/rabbit.ts';
import { connectQuietly, needOwnRabbit, type OwnRabbit } from '../src/rabbit-lab.ts';
import { figures } from '../src/soak.ts';
import { sendAllUntilConfirmed } from '../src/stubborn-sender.ts';
import { TcpProxy } from '../src/tcp-proxy.ts';

const MESSAGES = 10_000;
const KILLS = 20;
const RESTARTS = [MESSAGES / 3, MESSAGES / 2].map(Math.floor);

describe('RabbitMQ: confirmed messages', () => {
  let broker: OwnRabbit;

  before(async function () {
    this.timeout(90_000);
    broker = await needOwnRabbit(this);
  });

  it(`${MESSAGES} confirmed messages outlast two restarts of the broker and ${KILLS} lost connections: none is lost, and no duplicate is unexplained`, async function () {
    this.timeout(120_000);
    await using proxy = await TcpProxy.open(broker);
    const url = `${rabbitUrl(broker, { port: proxy.port })}?reconnectMinMs=5&reconnectMaxMs=200`;
    let sent = 0;
    const sentAtLosses: number[] = [];
    await using sending = await connectQuietly(url, {
      onStatus: ({ state }) => void (state === 'disconnected' && sentAtLosses.push(sent)),
    });
    await using receiving = await connectQuietly(url);
    const mailbox = { kind: 'mailbox', name: `soak-${newId()}` } as const;
    const arrivals = await Arrivals.open(receiving, mailbox);

    const every = Math.floor(MESSAGES / (KILLS + 1));
    let kills = 0;
    let restarted = Promise.resolve();
    const sentAtRestarts: number[] = [];
    const restart = async (): Promise<void> => {
      await broker.restart();
      sentAtRestarts.push(sent);
    };
    const confirmed = await sendAllUntilConfirmed(sending, mailbox, MESSAGES, (count) => {
      sent = count;
      if (RESTARTS.includes(count)) restarted = restarted.then(restart);
      // Not where the restarts are.
      if (count % every === Math.floor(0.75 * every) && kills < KILLS) {
        kills++;
        proxy.reset();
      }
    });
    await restarted;
    await arrivals.fence(sending, mailbox);

    expect(kills).to.equal(KILLS);
    expect(sentAtRestarts).to.have.length(RESTARTS.length);
    for (const count of sentAtRestarts) expect(count, 'sent when the broker was back').to.be.below(MESSAGES);
    expect(sending.health().reconnects).to.be.at.least(KILLS);
    expect(confirmed).to.have.length(MESSAGES);
    const { duplicates, marked } = arrivals.expectAll(confirmed);
    const unknown = confirmed.reduce((sum, one) => sum + one.unknown, 0);
    expect(unknown, 'outcomes that were unknown').to.be.above(0);
    figures('confirmed messages', {
      messages: MESSAGES,
      lost: 0,
      unknown,
      duplicates,
      markedRedelivered: marked,
      sentAtRestarts,
      sentAtLosses,
      reconnects: sending.health().reconnects,
    });
    await broker.api.deleteQueue(mailbox.name);
  });
});
