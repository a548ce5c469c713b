import { flags, type OsloOptions } from './oslo-peers.ts';
import { type PythonPeer, spawnPython } from './python.ts';
import { parsePythonJson } from './python-json.ts';

/** One notification for a Python notifier to send. */
export interface OsloEvent {
  readonly topics: readonly string[];
  readonly event_type: string;
  /** `messaging` writes the bare message, `messagingv2` (the default) the envelope. */
  readonly driver?: 'messaging' | 'messagingv2';
  readonly publisher_id?: string;
  readonly priority?: string;
  /** The values of a RequestContext; without it the context is empty. */
  readonly ctxt?: Readonly<Record<string, unknown>>;
  readonly payload?: unknown;
}

/** A Python notifier. */
export class OsloNotifier implements AsyncDisposable {
  readonly peer: PythonPeer;
  #requests = 0;

  private constructor(peer: PythonPeer) {
    this.peer = peer;
  }

  static async start(options: OsloOptions): Promise<OsloNotifier> {
    const peer = await spawnPython('notify.py', [options.url, ...flags(options)]);
    await peer.line(/"event": "ready"/, 20_000);
    return new OsloNotifier(peer);
  }

  /** Resolves when the broker has it. */
  async notify(event: OsloEvent): Promise<void> {
    this.#requests += 1;
    const id = this.#requests;
    this.peer.send({ id, ...event });
    const answer = parsePythonJson(await this.peer.line(new RegExp(`^{"id": ${id}, `), 30_000));
    const { error } = answer as { readonly error?: string };
    if (error !== undefined) throw new Error(error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer.stop();
  }
}

/** What a Python endpoint was called with, and which of its methods. */
export interface OsloHeard {
  readonly priority: string;
  readonly ctxt: Readonly<Record<string, unknown>>;
  readonly publisher_id: string;
  readonly event_type: string;
  readonly payload: unknown;
  readonly metadata: { readonly message_id: string; readonly timestamp: string };
}

export interface OsloListening extends OsloOptions {
  readonly topics: readonly string[];
  readonly pool?: string;
  readonly priorities?: readonly string[];
  readonly publisherId?: string;
  readonly eventType?: string;
  /** The first delivery of this event type is put back. */
  readonly requeue?: string;
  readonly batch?: { readonly size: number; readonly seconds: number };
}

/** A Python notification listener. */
export class OsloListener implements AsyncDisposable {
  readonly peer: PythonPeer;

  private constructor(peer: PythonPeer) {
    this.peer = peer;
  }

  /** Resolves when it listens. */
  static async start(options: OsloListening): Promise<OsloListener> {
    const { url, topics, pool, priorities = [], publisherId, eventType, requeue, batch } = options;
    const named = { '--pool': pool, '--publisher-id': publisherId, '--event-type': eventType, '--requeue': requeue };
    const peer = await spawnPython('listen.py', [
      url,
      ...topics,
      ...Object.entries(named).flatMap(([name, value]) => (value === undefined ? [] : [name, value])),
      ...priorities.flatMap((priority) => ['--priority', priority]),
      ...(batch === undefined ? [] : ['--batch', `${batch.size}`, '--batch-timeout', `${batch.seconds}`]),
      ...flags(options),
    ]);
    await peer.line(/"event": "ready"/, 20_000);
    return new OsloListener(peer);
  }

  /** All that it heard so far, oldest first. */
  get heard(): OsloHeard[] {
    return this.peer.lines
      .filter((line) => line.startsWith('{"event": "heard"'))
      .map((line) => parsePythonJson(line) as OsloHeard);
  }

  get events(): string[] {
    return this.heard.map(({ event_type }) => event_type);
  }

  /** The sizes of its batches so far. */
  get batches(): number[] {
    return this.peer.lines
      .filter((line) => line.startsWith('{"event": "batch"'))
      .map((line) => (parsePythonJson(line) as { readonly size: number }).size);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer.stop();
  }
}
