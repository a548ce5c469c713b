import type { Context, DeliveryProfile, HeaderValue, Message, MessagingError } from '@posthorn/core';

/** A request as both sides see it, whatever the wire. */
export interface Request {
  /** Unique; replies carry it as their correlation id. */
  readonly id: string;
  /** By which a second delivery of the same message is known, where that is not the id. */
  readonly deliveryId?: string | undefined;
  readonly method: string;
  readonly namespace?: string | undefined;
  /** Absent counts as 1.0; null, which only a foreign peer can send, matches nothing. */
  readonly version?: string | null | undefined;
  /** An object of named arguments, or bytes. */
  readonly args: unknown;
  readonly context: Context;
  /** Where the reply goes. Absent: nobody waits. */
  readonly replyTo?: string | undefined;
  /** What was left of the caller's time when the request was written. */
  readonly timeoutMs?: number | undefined;
  /** The caller wants a sign of life at least this often. */
  readonly monitorMs?: number | undefined;
  /** The caller reads progress, and has room for this much of it until it grants more. */
  readonly window?: number | undefined;
  /** The caller gathers the replies of several servers: each says whose it is. */
  readonly gather?: boolean | undefined;
  /** Metadata beside the context, such as `traceparent`. */
  readonly headers?: Readonly<Record<string, HeaderValue>> | undefined;
  /** The MIME type in which the caller wrote, and gets its reply. */
  readonly contentType?: string | undefined;
  /** What is wrong with a request whose sender can still be told. */
  readonly problem?: MessagingError | undefined;
}

/** An error on the wire. */
export interface Failure {
  /** The class as the wire names it: `NotFound`, or with a module, `builtins.ValueError`. */
  readonly type: string;
  readonly message: string;
  /** The lines of the peer's stack or traceback. */
  readonly trace: readonly string[];
  readonly args?: readonly unknown[] | undefined;
  readonly kwargs?: Readonly<Record<string, unknown>> | undefined;
}

export type Reply =
  /** `parts`: how many parts of progress went before, where any did. `server`: whose it is, where that was asked. */
  | { readonly kind: 'result'; readonly value: unknown; readonly parts?: number; readonly server?: string }
  | { readonly kind: 'failure'; readonly failure: Failure; readonly server?: string }
  | Part
  /** A sign of life from a method that still runs. */
  | { readonly kind: 'heartbeat' }
  /** The result, with its end still to come: what oslo.messaging sent before 2016. */
  | { readonly kind: 'partial'; readonly value: unknown };

/** What a streaming method yielded on its way to the result. */
export interface Part {
  readonly kind: 'progress';
  readonly value: unknown;
  /** Counted from 1, without gaps. */
  readonly part: number;
  readonly producer: Producer;
}

/** Where the reader of a stream answers: a reply address of the server, and the id by which that knows the stream. */
export interface Producer {
  readonly id: string;
  readonly replyTo: string;
}

/** What the reader of a stream tells its producer. */
export type Control =
  /** It has room for this many parts, counted from the first. */
  | { readonly kind: 'credit'; readonly granted: number }
  /** It has gone. */
  | { readonly kind: 'cancel' };

export interface ControlCodec {
  encode(producer: Producer, control: Control): Message;
  decode(message: Message): Control;
}

export type Incoming =
  | { readonly kind: 'request'; readonly request: Request }
  /** The caller of that request has gone. */
  | { readonly kind: 'cancel'; readonly id: string };

/** The wire format of RPC: pure functions between values and messages. All throw `MessagingError` only. */
export interface RPCCodec {
  encodeRequest(request: Request): Message;
  decodeRequest(message: Message): Incoming;
  encodeReply(request: Request, reply: Reply): Message;
  decodeReply(message: Message): Reply;
  /** Absent where the wire has no such thing. */
  encodeCancel?(id: string): Message;
  /** Absent where the wire has no streams. */
  readonly control?: ControlCodec;
  /** Whether replies can say which server they are from. Without it none are gathered. */
  readonly namesServers?: boolean;
  /** Signs of life more frequent than this cannot be asked for. */
  readonly leastMonitorMs?: number;
  /** Where this wire's messages travel otherwise than the profiles of core say. */
  readonly profiles?: { readonly call?: Partial<DeliveryProfile>; readonly cast?: Partial<DeliveryProfile> };
}

declare module '@posthorn/core' {
  interface WireCodecs {
    rpc: RPCCodec;
  }
}
