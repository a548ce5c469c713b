import { newId, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import { Arrivals } from './arrivals.ts';
import { connectQuietly } from './rabbit-lab.ts';
import { figures } from './soak.ts';
import { sendAllUntilConfirmed } from './stubborn-sender.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A broker, and what is to befall it and the connections to it. */
export interface Losses {
  readonly broker: { readonly host: string; readonly port: number };
  /** The URL of that broker behind another port; with options of its own or without. */
  url(port: number): string;
  /** How many at least: it goes on until the broker is back. */
  readonly messages: number;
  /** How often all connections are cut, at even distances. */
  readonly kills: number;
  /** Restarts the broker with its data; done when a third and half of the messages are confirmed. */
  restart?(): Promise<void>;
}

/**
 * Sends messages to a fresh mailbox, each until it is confirmed, through all these losses. Fails unless each one arrives,
 * and none more often than its sender sent it without knowing the outcome, or the broker marked as delivered again.
 *
 * @returns the name of the mailbox
 */
export async function confirmThroughLosses(what: string, losses: Losses): Promise<string> {
  const { broker, messages, kills } = losses;
  await using proxy = await TcpProxy.open(broker);
  const quick = `${losses.url(proxy.port)}?reconnectMinMs=5&reconnectMaxMs=200`;
  let sent = 0;
  const sentAtLosses: number[] = [];
  await using sending = await connectQuietly(quick, {
    onStatus: ({ state }) => void (state === 'disconnected' && sentAtLosses.push(sent)),
  });
  await using receiving: Transport = await connectQuietly(quick);
  const mailbox = { kind: 'mailbox', name: `soak-${newId()}` } as const;
  const arrivals = await Arrivals.open(receiving, mailbox);

  const restarts = losses.restart === undefined ? [] : [messages / 3, messages / 2].map(Math.floor);
  const every = Math.floor(messages / (kills + 1));
  let killed = 0;
  let restarted = Promise.resolve();
  const sentAtRestarts: number[] = [];
  const restart = async (): Promise<void> => {
    try {
      await losses.restart?.();
    } finally {
      sentAtRestarts.push(sent);
    }
  };
  const lose = (count: number): void => {
    sent = count;
    if (restarts.includes(count)) restarted = restarted.finally(restart);
    // Not where the restarts are.
    if (count % every === Math.floor(0.75 * every) && killed < kills) {
      killed++;
      proxy.reset();
    }
  };
  const isDown = (): boolean => sentAtRestarts.length < restarts.length;
  const confirmed = await sendAllUntilConfirmed(sending, mailbox, messages, lose, isDown);
  await restarted;
  await arrivals.fence(sending, mailbox);

  expect(killed).to.equal(kills);
  for (const count of sentAtRestarts) expect(count, 'sent when the broker was back').to.be.below(confirmed.length);
  expect(sending.health().reconnects).to.be.at.least(kills);
  expect(confirmed.length).to.be.at.least(messages);
  const { duplicates, marked } = arrivals.expectAll(confirmed);
  const unknown = confirmed.reduce((sum, one) => sum + one.unknown, 0);
  expect(unknown, 'outcomes that were unknown').to.be.above(0);
  const { reconnects } = sending.health();
  figures(what, { messages, lost: 0, unknown, duplicates, marked, sentAtRestarts, sentAtLosses, reconnects });
  return mailbox.name;
}
