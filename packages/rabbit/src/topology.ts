import type { Address, Retention, Source } from '@posthorn/core';

export interface ExchangeDeclaration {
  readonly name: string;
  readonly type: 'direct' | 'fanout' | 'topic';
  readonly durable: boolean;
  readonly autoDelete: boolean;
}

export interface QueueDeclaration {
  readonly name: string;
  readonly durable: boolean;
  readonly exclusive: boolean;
  readonly autoDelete: boolean;
  readonly arguments: Readonly<Record<string, string | number | boolean>>;
  /**
   * On a clean close by its only consumer: `delete` it; delete it `ifEmpty`, which classic queues alone can; `unbind` it, so
   * that it gets nothing more; or `keep` it.
   */
  readonly onClose: 'delete' | 'ifEmpty' | 'unbind' | 'keep';
}

export interface Binding {
  readonly exchange: ExchangeDeclaration;
  readonly key: string;
}

/** Where to publish. Without an exchange: to the default one, whose key is the queue's name. */
export interface Route {
  readonly exchange: ExchangeDeclaration | undefined;
  readonly key: string;
}

export interface Intake {
  readonly queue: QueueDeclaration;
  readonly bindings: readonly Binding[];
}

/**
 * What the addresses are called on RabbitMQ, and with which flags. Pure data in, pure data out. A wire whose peers
 * expect other names brings a topology of its own.
 */
export interface Topology {
  route(to: Address): Route;
  /** The one queue that the sources feed. Called again for each connection: private queues get a fresh name. */
  intake(
    from: readonly Source[],
    options: { readonly group?: string | undefined; readonly retention?: Retention | undefined },
  ): Intake;
  /**
   * The queue that keeps messages for an address that nobody listens to yet. Without bindings it is sent to by its name,
   * and gets only what came back.
   */
  kept(
    to: Address,
    options?: { readonly retention?: Retention | undefined; readonly keepFor?: string | undefined },
  ): Intake;
  /** The priority property of messages that ask for none. */
  readonly priority?: number;
  /** Declare the queue of `kept` before the first message that must be kept, and not only when nobody listens. */
  readonly keepsAlways?: boolean;
  /** Mark every message as persistent. */
  readonly persistent?: boolean;
  /** Acknowledge replies, which saves nothing: who waits is lost with the channel that brings them. */
  readonly acknowledgesReplies?: boolean;
}
