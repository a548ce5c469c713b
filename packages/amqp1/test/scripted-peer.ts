import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { type Driver, type DriverContext, parseTransportUrl, type Status, silent } from '@posthorn/core';
import rhea, { type Connection, type EventContext, type Receiver, type Sender, type Session } from 'rhea';
import { type Amqp1Options, amqp1 } from '../src/index.ts';

/** What a peer says of itself, and how it answers. The defaults are a willing broker with credit for everything. */
export interface Script {
  readonly product?: string;
  readonly capabilities?: readonly string[];
  /** Options of rhea for the connections that are accepted. */
  readonly options?: object;
  /** The driver began a session. */
  readonly onSession?: (session: Session) => void;
  /** The driver attached to send: give credit, or refuse. */
  readonly onReceiver?: (receiver: Receiver, count: number) => void;
  readonly onMessage?: (context: EventContext) => void;
  /** The driver attached to receive. */
  readonly onSender?: (sender: Sender, count: number) => void;
}

/** rhea's listening side, in this process, for brokers that misbehave. */
export class ScriptedPeer implements AsyncDisposable {
  readonly port: number;
  readonly connections: Connection[] = [];
  /** The links by which the driver sends, as they were attached. */
  readonly receivers: Receiver[] = [];
  readonly senders: Sender[] = [];
  readonly messages: EventContext[] = [];
  readonly #server: Server;
  readonly #drivers: Driver[] = [];

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async open(script: Script = {}): Promise<ScriptedPeer> {
    const { product, capabilities, options, onSession, onReceiver, onMessage, onSender } = script;
    const container = rhea.create_container();
    const server = container.listen({
      port: 0,
      host: '127.0.0.1',
      tcp_no_delay: true,
      receiver_options: { credit_window: 0, autoaccept: false },
      ...(product !== undefined && { properties: { product } }),
      ...(capabilities && { offered_capabilities: capabilities }),
      ...options,
    } as never) as unknown as Server;
    await once(server, 'listening');
    const peer = new ScriptedPeer(server);
    for (const event of ['error', 'disconnected', 'session_error', 'receiver_error', 'sender_error', 'protocol_error'])
      container.on(event, () => {});
    container.on('connection_open', ({ connection }: EventContext) => void peer.connections.push(connection));
    container.on('session_open', ({ session }: EventContext) => void (session && onSession?.(session)));
    container.on('receiver_open', ({ receiver }: EventContext) => {
      if (receiver === undefined) return;
      peer.receivers.push(receiver);
      receiver.set_target({ address: receiver.target?.address ?? '' });
      if (onReceiver === undefined) receiver.add_credit(10_000);
      else onReceiver(receiver, peer.receivers.length);
    });
    container.on('sender_open', ({ sender }: EventContext) => {
      if (sender === undefined) return;
      peer.senders.push(sender);
      sender.set_source({ address: sender.source?.address ?? '' });
      onSender?.(sender, peer.senders.length);
    });
    container.on('message', (context: EventContext) => {
      peer.messages.push(context);
      if (onMessage === undefined) context.delivery?.accept();
      else onMessage(context);
    });
    return peer;
  }

  /** What came, as texts. */
  get texts(): string[] {
    return this.messages.map(({ message }) => String(message?.body?.content));
  }

  /** A driver that is connected to this peer. */
  async driver(options: Amqp1Options = {}, context: Partial<DriverContext> = {}): Promise<Driver> {
    const nothing = (): void => {};
    const driver = await amqp1(
      parseTransportUrl(`amqp1://127.0.0.1:${this.port}`),
      { logger: silent, onStatus: nothing, onReturned: nothing, onLost: nothing, ...context },
      { reconnectMinMs: 10, ...options },
    );
    this.#drivers.push(driver);
    return driver;
  }

  /** Cuts every connection, as a network would. */
  cut(): void {
    for (const connection of this.connections.splice(0)) {
      socketOf(connection).destroy();
      // rhea would keep its timers.
      (connection as unknown as { eof(): void }).eof();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#drivers.map((driver) => driver.close({ signal: AbortSignal.timeout(1_000) })));
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

export function socketOf(connection: Connection): { destroy(): void; write(bytes: Buffer): void; bytesRead: number } {
  return (connection as unknown as { readonly socket: ReturnType<typeof socketOf> }).socket;
}

/** Refuses an attach as the specification wants it: without a terminus, and with a detach that says why. */
export function refuse(link: Sender | Receiver, condition: string): void {
  const { attach } = (link as unknown as { readonly local: { readonly attach: { source: unknown; target: unknown } } })
    .local;
  if (link.is_sender()) attach.source = undefined;
  else attach.target = undefined;
  link.close({ condition, description: 'not here' });
}

/** Resolves when the condition holds; looks at each turn of the event loop. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 8_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** How a promise ends: `resolved`, or the code of its error. */
export async function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => 'resolved',
    (error: { readonly code?: string }) => error.code ?? error,
  );
}

/** Collects the states of a connection. */
export function statuses(): { readonly states: Status['state'][]; readonly onStatus: (status: Status) => void } {
  const states: Status['state'][] = [];
  return { states, onStatus: ({ state }) => void states.push(state) };
}
