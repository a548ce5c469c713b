import {
  type Context,
  countFromThePeers,
  pairLinks,
  type Receiver,
  type Sender,
  type Session,
  tuneSession,
} from '../rhea.ts';

/** What a peer attached, with what the listening side has to tell of it. */
interface Attached {
  readonly local: { readonly attach: { snd_settle_mode?: number; properties?: object; max_message_size?: number } };
  readonly snd_settle_mode?: number;
  readonly properties?: Readonly<Record<string, unknown>> | null;
  readonly source?: ServedTerminus | null;
  readonly target?: ServedTerminus | null;
  set_source(fields: object): void;
  set_target(fields: object): void;
}

interface ServedTerminus {
  readonly address?: string | null;
  readonly dynamic?: boolean | number;
}

/** The peer receives. */
export type ServedSender = Omit<Sender, keyof Attached | 'credit'> &
  Attached & {
    credit: number;
    delivery_count: number;
    issue_flow: boolean;
    _get_drain(): boolean;
    on(event: string, listener: (context: Context) => void): void;
  };

/** The peer sends. */
export type ServedReceiver = Omit<Receiver, keyof Attached> &
  Attached & { _incomplete?: { settled: boolean; remote_settled: boolean } | undefined };

export interface Transfer {
  readonly performative: { readonly handle: number; readonly delivery_id?: number | null; readonly aborted?: boolean };
  readonly payload?: Buffer;
}

interface ServedSession {
  readonly remote: { readonly handles: Record<number, unknown> };
  readonly incoming: { next_transfer_id: number; next_delivery_id: number | undefined };
  create_sender(name: string): Sender;
  create_receiver(name: string): Receiver;
  on_transfer(frame: Transfer): void;
  on_disposition(frame: Disposition): void;
}

interface Disposition {
  readonly performative: { readonly state?: { readonly descriptor?: unknown }; readonly value: unknown[] };
}

/** Of the state, among the fields of a disposition. */
const STATE = 4;

/** Unsettled deliveries, and frames on their way, each way. */
const SESSION_WINDOW = 2_048;

/**
 * Makes a session that a peer began ready for its links. `takes` is asked before each frame of a message whether its link
 * takes it; `onWindow` hears when the peer gives the session room.
 */
export function serveSession(
  begun: Session,
  takes: (link: ServedReceiver, frame: Transfer) => boolean,
  onWindow: () => void,
): void {
  const session = begun as unknown as ServedSession;
  tuneSession(begun, SESSION_WINDOW, onWindow);
  pairLinks(begun, ({ performative: { name, role } }) => {
    if (role) return session.create_sender(name);
    const receiver = session.create_receiver(name);
    countFromThePeers(receiver);
    return receiver;
  });
  const { on_transfer, on_disposition } = session;
  session.on_transfer = function (frame) {
    const link = this.remote.handles[frame.performative.handle] as ServedReceiver | undefined;
    if (link === undefined || takes(link, frame)) on_transfer.call(this, frame);
    else pass(this, link, frame);
  };
  session.on_disposition = function (frame) {
    const { state, value } = frame.performative;
    // rhea prints what it cannot read, and that is also a null, with which a peer settles without an outcome.
    if (state?.descriptor === undefined) value[STATE] = undefined;
    on_disposition.call(this, frame);
  };
}

/** How many more messages can be sent in a session, all of its links taken together. */
export function roomIn({ outgoing }: Session): number {
  const pending = outgoing.next_delivery_id - outgoing.next_pending_delivery;
  return Math.min((outgoing.transfer_window() || 0) - pending, outgoing.deliveries.available());
}

/** Counts a frame, and forgets it with what came of its message before. */
function pass({ incoming }: ServedSession, link: ServedReceiver, { performative }: Transfer): void {
  incoming.next_transfer_id++;
  const { delivery_id } = performative;
  if (delivery_id !== undefined && delivery_id !== null) incoming.next_delivery_id = delivery_id + 1;
  if (performative.aborted) {
    // It took its credit all the same.
    link.credit--;
    link.delivery_count++;
  }
  if (link._incomplete === undefined) return;
  link._incomplete.settled = true;
  link._incomplete.remote_settled = true;
  link._incomplete = undefined;
}
