import { type Address, type MemoryBroker, type Message, messageOf } from '@posthorn/core';
import { decode, type Received } from '../decoder.ts';
import { type Context, type Delivery, refuse, settle } from '../rhea.ts';
import { parseAddress } from './addresses.ts';
import { annotate, withoutHeader } from './sections.ts';
import type { ServedReceiver, Transfer } from './served-session.ts';
import { FOR_THE_BROKER, KEEP, sendOptionsOf } from './vocabulary.ts';

/** Messages that a client may send before it is asked for more. */
const CREDIT = 500;

export interface Limits {
  readonly maxMessageBytes: number;
  /** What all messages of the broker may take together. */
  readonly maxBytes: number;
}

/** Lets a client that attached to send do so, or tells it why it cannot: then there is no intake. */
export function openIntake(link: ServedReceiver, broker: MemoryBroker, limits: Limits): Intake | undefined {
  const { source, target } = link;
  // A coordinator of transactions is a target that rhea cannot read, and makes a null of: an object.
  if (!target || !('address' in target))
    return void link.close({ condition: 'amqp:not-implemented', description: 'no such kind of target' });
  if (target.dynamic)
    return void link.close({ condition: 'amqp:not-implemented', description: 'only sources can be dynamic' });
  link.set_target({ ...(target.address && { address: target.address }) });
  link.set_source({ ...(source?.address && { address: source.address }) });
  link.local.attach.max_message_size = limits.maxMessageBytes;
  return new Intake(link, target.address || undefined, broker, limits);
}

/** A link on which a client sends: to one address, or each message to where its `to` says. */
export class Intake {
  readonly #link: ServedReceiver;
  /** Undefined on an anonymous link. */
  readonly #target: string | undefined;
  readonly #broker: MemoryBroker;
  readonly #limits: Limits;
  /** Of the message that is coming in frames. */
  #bytes = 0;
  #ended = false;

  constructor(link: ServedReceiver, target: string | undefined, broker: MemoryBroker, limits: Limits) {
    this.#link = link;
    this.#target = target;
    this.#broker = broker;
    this.#limits = limits;
    link.on('message', (context) => this.#onMessage(context));
    link.add_credit(CREDIT);
  }

  /** Whether the link takes a frame. One that makes its message too large ends the link. */
  takes({ performative, payload }: Transfer): boolean {
    if (this.#ended || performative.aborted) return false;
    const isFirst = this.#link._incomplete === undefined;
    this.#bytes = (isFirst ? 0 : this.#bytes) + (payload?.length ?? 0);
    const { maxMessageBytes } = this.#limits;
    if (this.#bytes <= maxMessageBytes) return true;
    this.#ended = true;
    const description = `a message of more than ${maxMessageBytes} bytes`;
    this.#link.close({ condition: 'amqp:link:message-size-exceeded', description });
    return false;
  }

  #onMessage({ message, delivery }: Context): void {
    if (delivery === undefined || !Buffer.isBuffer(message)) return;
    this.#take(message, delivery);
    if (this.#link.credit <= CREDIT / 2) this.#link.add_credit(CREDIT - this.#link.credit);
  }

  #take(bytes: Buffer, delivery: Delivery): void {
    let received: Received;
    try {
      received = decode(bytes);
    } catch (error) {
      return refuse(delivery, { condition: 'amqp:decode-error', description: messageOf(error) });
    }
    const to = this.#target ?? received.to;
    if (to === undefined)
      return refuse(delivery, {
        condition: 'amqp:precondition-failed',
        description: 'the message says not where to go',
      });
    const { address, plain } = parseAddress(to);
    const options = sendOptionsOf(received.annotations, Date.now());
    const isPlainQueue = plain && address.kind === 'mailbox';
    const keeps = options.unrouted === 'keep' || (isPlainQueue && received.annotations[KEEP] !== false);
    if (keeps && !canKeep(address))
      return refuse(delivery, { condition: 'amqp:not-implemented', description: `nothing is kept for ${to}` });
    if (this.#broker.bytes + bytes.length > this.#limits.maxBytes) {
      const description = `the broker holds ${this.#broker.bytes} bytes of messages already`;
      return refuse(delivery, { condition: 'amqp:resource-limit-exceeded', description });
    }
    const { priority } = received;
    const isRouted = this.#broker.send(address, stored(bytes, received), {
      ...options,
      unrouted: keeps ? 'keep' : 'fail',
      ...(priority !== undefined && { priority }),
    });
    // A copy for each who listens, and be it nobody: so it is with the topics of other brokers.
    settle(delivery, isRouted || (plain && address.kind === 'multicast') ? 'accepted' : 'released');
  }
}

/** What core's queues carry: the message as it is encoded. The header's parts are written anew for each delivery. */
function stored(bytes: Buffer, { message, durable, priority, annotations }: Received): Message {
  const bare = withoutHeader(bytes);
  const isForUs = FOR_THE_BROKER.some((name) => name in annotations);
  return {
    body: isForUs ? annotate(bare, {}, FOR_THE_BROKER) : bare,
    headers: { durable, ...(priority !== undefined && { priority }) },
    ...(message.ttlMs !== undefined && { ttlMs: message.ttlMs }),
  };
}

function canKeep({ kind }: Address): boolean {
  return kind !== 'multicast' && kind !== 'reply';
}
