/**
 * The subset of rhea in use, and the only file that imports it: types for what rhea leaves untyped, and remedies for
 * what it (3.0.5) gets wrong.
 */
import type { Socket } from 'node:net';
import rhea from 'rhea';
import { type HotFrame, readHotFrame, writeAccepted } from './frames.ts';
import { type OnEnd, Outgoing, type SendOutcome } from './outgoing.ts';

/** An error as it stands in frames. */
export interface WireError {
  readonly condition?: string;
  readonly description?: string;
}

/** What rhea hands to listeners, as far as we look at it. */
export interface Context {
  readonly error?: unknown;
  readonly delivery?: Delivery;
  /** The bytes of a message, on sessions of `openSession`. */
  readonly message?: unknown;
  /** At the listening side: what the peer opened. */
  readonly session?: Session;
  readonly sender?: Sender;
  readonly receiver?: Receiver;
}

interface Emitter {
  on(event: string, listener: (context: Context) => void): void;
}

export interface RemoteOpen {
  readonly container_id?: string;
  readonly channel_max?: number | null;
  readonly max_frame_size?: number;
  idle_time_out?: number | null | undefined;
  readonly offered_capabilities?: string | readonly string[] | null;
  readonly properties?: Readonly<Record<string, unknown>> | null;
}

export interface Connection extends Emitter {
  /** The rest of a WebSocket's stand-in for it is absent. */
  readonly socket: Partial<
    Pick<Socket, 'cork' | 'uncork' | 'destroy' | 'bytesRead' | 'bytesWritten' | 'writableLength'>
  > &
    Pick<Socket, 'on' | 'write' | 'end'>;
  readonly heartbeat_in?: NodeJS.Timeout;
  readonly heartbeat_out?: NodeJS.Timeout;
  readonly abort_idle?: NodeJS.Timeout;
  readonly error?: WireError;
  readonly remote: { readonly open?: RemoteOpen };
  readonly local: { readonly open: { idle_time_out?: number | undefined } };
  is_open(): boolean;
  close(error?: WireError): void;
  readonly amqp_transport: { readonly header_received?: unknown; read(buffer: Buffer): number };
  on_transfer(frame: { readonly channel: number; readonly performative: object; readonly payload: Buffer }): void;
  on_disposition(frame: { readonly channel: number; readonly performative: object }): void;
  /** By their channels. */
  readonly local_channel_map: Record<number, object>;
  create_session(sizes?: { readonly incoming: number; readonly outgoing: number }): Session;
  /** Without arguments: an empty frame. */
  _write_frame(): void;
  _register(): void;
}

interface Ring {
  readonly capacity: number;
  size: number;
  available(): number;
  push(delivery: Delivery): void;
  pop_if(test: (delivery: Delivery) => boolean): number;
  by_id(id: number): Delivery | undefined;
}

export interface Session extends Emitter {
  readonly connection: Connection;
  readonly error?: WireError;
  readonly links: Record<string, Sender | Receiver>;
  readonly local: { readonly channel: number; readonly handles: Record<number, unknown> };
  readonly remote: { readonly handles: Record<number, unknown> };
  outgoing: RheaOutgoing;
  readonly incoming: {
    deliveries: Ring;
    updated: Delivery[];
    next_delivery_id: number | undefined;
    process(session: Session): void;
  };
  begin(): void;
  close(error?: WireError): void;
  is_open(): boolean;
  open_sender(options: object): Sender;
  open_receiver(options: object): Receiver;
  on_transfer(frame: TransferFrame): void;
  on_flow(frame: unknown): void;
  on_attach(frame: AttachFrame): void;
  create_link(name: string, role: unknown, options: unknown): Sender | Receiver;
  remove_link(link: Sender | Receiver): void;
  _write_flow(link: FlowOf): void;
}

interface RheaOutgoing {
  deliveries: Ring;
  next_delivery_id: number;
  readonly next_pending_delivery: number;
  readonly remote_window: number | undefined;
  transfer_window(): number;
}

interface TransferFrame {
  readonly performative: { message_format?: number };
}

interface AttachFrame {
  readonly performative: {
    readonly name: string;
    readonly role: boolean;
    readonly handle: number;
    readonly initial_delivery_count?: number;
  };
}

interface FlowOf {
  readonly delivery_count: number;
  readonly credit: number;
  readonly local: { readonly handle: number };
  _get_drain(): boolean;
}

interface Terminus {
  readonly address?: string | null;
}

interface Link extends Emitter {
  readonly name: string;
  readonly session: Session;
  readonly connection: Connection;
  readonly error?: WireError;
  /** As the peer attached. */
  readonly source?: Terminus | null;
  readonly target?: Terminus | null;
  readonly local: { readonly handle: number; readonly attach: { readonly snd_settle_mode?: number } };
  readonly remote: { handle: number; attach?: unknown };
  readonly properties?: Readonly<Record<string, unknown>> | null;
  readonly max_message_size?: number | bigint | null;
  is_open(): boolean;
  is_closed(): boolean;
  is_sender(): boolean;
  close(error?: WireError): void;
  on_attach(frame: AttachFrame): void;
}

export interface Sender extends Link {
  credit: number;
  delivery_count: number;
  send(message: Uint8Array | object, tag?: Uint8Array, format?: number): Delivery;
}

export interface Receiver extends Link {
  credit: number;
  delivery_count: number;
  drain: boolean;
  add_credit(count: number): void;
  drain_credit(): void;
}

export interface Delivery {
  readonly id: number;
  readonly link: Link;
  settled: boolean;
  remote_settled: boolean;
  readonly state?: unknown;
  readonly remote_state?: {
    readonly constructor: { readonly composite_type?: string };
    described(): unknown;
    readonly error?: WireError;
    readonly delivery_failed?: boolean;
    readonly undeliverable_here?: boolean;
    readonly message_annotations?: Readonly<Record<string, unknown>> | null;
  };
  update(settled: boolean, state: unknown): void;
}

export type Sasl =
  | { readonly mechanism: 'PLAIN'; readonly username: string; readonly password: string }
  | { readonly mechanism: 'ANONYMOUS' }
  | { readonly mechanism: 'EXTERNAL' }
  | { readonly mechanism: 'none' };

export interface DialOptions {
  readonly containerId: string;
  /** The `hostname` of the Open frame. */
  readonly hostname: string;
  readonly sasl: Sasl;
  readonly idleTimeoutMs: number;
  readonly maxFrameBytes: number;
  readonly properties: Readonly<Record<string, string>>;
  /** Makes the stream to the peer; `connected` is called back once. */
  readonly socket: (connected: () => void) => unknown;
}

/**
 * Begins to open a connection. Each has a container of its own, and a new one for each attempt: rhea's own reconnect
 * drops messages in flight without a word, and glues half a message of the old connection to the first of the new one.
 * `onTrouble` hears what nobody else listens to; rhea would print it.
 */
export function dial(options: DialOptions, onTrouble: (event: string, context: Context) => void): Connection {
  const container = rhea.create_container({ id: options.containerId });
  const { sasl } = options;
  const connection = container.create_connection({
    id: options.containerId,
    container_id: options.containerId,
    hostname: options.hostname,
    ...(sasl.mechanism !== 'none' && { sasl_mechanisms: mechanismsOf(sasl) }),
    idle_time_out: options.idleTimeoutMs,
    max_frame_size: options.maxFrameBytes,
    properties: options.properties,
    reconnect: false,
    tcp_no_delay: true,
    connection_details: () => ({
      connect: (_port: number, _host: string, _options: unknown, connected: () => void) => options.socket(connected),
    }),
  } as never) as unknown as Connection & { connect(): void };
  for (const event of TROUBLES) {
    (container as unknown as Emitter).on(event, (context) => onTrouble(event, context));
  }
  connection.connect();
  readFast(connection);
  return connection;
}

/** Reads messages and acceptances by itself, and leaves all other frames to rhea. */
function readFast(connection: Connection): void {
  const transport = connection.amqp_transport;
  const { read } = transport;
  transport.read = function (buffer) {
    if (!this.header_received) return read.call(this, buffer);
    let at = 0;
    while (buffer.length - at >= 8) {
      const end = at + buffer.readUInt32BE(at);
      if (end < at + 8) return at + read.call(this, buffer.subarray(at));
      if (end > buffer.length) break;
      const frame = readHotFrame(buffer, at, end);
      if (frame === undefined) {
        if (read.call(this, buffer.subarray(at, end)) === 0) break;
      } else take(connection, frame);
      at = end;
    }
    return at;
  };
}

function take(connection: Connection, frame: HotFrame): void {
  if (frame.type === 'transfer') return connection.on_transfer(frame);
  const { channel, performative } = frame;
  connection.on_disposition({ channel, performative: { ...performative, state: OUTCOMES.accepted } });
}

/** Asked for by name: rhea's own options fall back to ANONYMOUS where the password is empty. */
function mechanismsOf(sasl: Sasl): unknown {
  const mechanisms = (rhea.sasl as unknown as { client_mechanisms(): ClientMechanisms }).client_mechanisms();
  if (sasl.mechanism === 'PLAIN') mechanisms.enable_plain(sasl.username, sasl.password);
  else if (sasl.mechanism === 'EXTERNAL') mechanisms.enable_external();
  else mechanisms.enable_anonymous('anonymous');
  return mechanisms;
}

interface ClientMechanisms {
  enable_plain(username: string, password: string): void;
  enable_external(): void;
  enable_anonymous(name: string): void;
}

const TROUBLES = [
  'error',
  'protocol_error',
  'connection_error',
  'connection_close',
  'disconnected',
  'session_error',
  'session_close',
  'sender_error',
  'sender_close',
  'receiver_error',
  'receiver_close',
] as const;

/**
 * Takes the clocks out of rhea's hands, which sets timers for each frame: the caller sends empty frames when nothing else
 * was written, and looks for silence. Returns the time within which the peer wants to hear something.
 */
export function takeClocks(connection: Connection): number | undefined {
  const { open } = connection.remote;
  const idleMs = open?.idle_time_out ?? undefined;
  if (open !== undefined) open.idle_time_out = undefined;
  connection.local.open.idle_time_out = undefined;
  stopClocks(connection);
  return idleMs === 0 ? undefined : idleMs;
}

/** Cuts the stream at once. rhea does not hear of that, and would keep its timers. */
export function cut(connection: Connection): void {
  stopClocks(connection);
  if (connection.socket.destroy !== undefined) connection.socket.destroy();
  else connection.socket.end();
}

function stopClocks(connection: Connection): void {
  clearTimeout(connection.heartbeat_in);
  clearTimeout(connection.heartbeat_out);
  clearTimeout(connection.abort_idle);
}

/** Any number but 0, for which rhea would decode the message itself. */
const UNDECODED = 0x5048;

/**
 * Deliveries by id. rhea's own ring lets them go in order only: one that stays unsettled would hold up, and after 2,048
 * others stop, the whole session. It also confuses ids once they wrap.
 */
class Deliveries implements Ring {
  readonly capacity: number;
  readonly #byId = new Map<number, Delivery>();

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get size(): number {
    return this.#byId.size;
  }

  available(): number {
    return this.capacity - this.#byId.size;
  }

  push(delivery: Delivery): void {
    this.#byId.set(delivery.id, delivery);
  }

  pop_if(test: (delivery: Delivery) => boolean): number {
    const before = this.#byId.size;
    for (const [id, delivery] of this.#byId) if (test(delivery)) this.#byId.delete(id);
    return before - this.#byId.size;
  }

  by_id(id: number): Delivery | undefined {
    return this.#byId.get(id);
  }
}

const TAKEN = {};

/**
 * A session of so many deliveries each way, on a channel that is none of those to be avoided. Undefined where all others of
 * as many as the peer allows are taken, by sessions that are about to end, too.
 */
export function createSession(
  connection: Connection,
  size: number,
  mostChannels: number,
  avoided: ReadonlySet<number>,
): Session | undefined {
  const channels = connection.local_channel_map;
  const free = [...avoided].filter((channel) => channels[channel] === undefined);
  if (Object.keys(channels).length + free.length >= mostChannels) return undefined;
  for (const channel of free) channels[channel] = TAKEN;
  const session = connection.create_session({ incoming: size, outgoing: size });
  for (const channel of free) delete channels[channel];
  return session;
}

/**
 * Makes a session that hands out messages as bytes, holds any number of deliveries up to `size` each way, settles what
 * it was told to, and tells when the peer's window closes or opens.
 */
export function tuneSession(session: Session, size: number, onWindow: (window: number) => void = () => {}): Session {
  const { incoming, outgoing } = session;
  incoming.deliveries = new Deliveries(size);
  outgoing.deliveries = new Deliveries(size);
  const { on_transfer, on_flow } = session;
  session.on_transfer = function (frame) {
    if (frame.performative.message_format === 0) frame.performative.message_format = UNDECODED;
    on_transfer.call(this, frame);
  };
  session.on_flow = function (frame) {
    on_flow.call(this, frame);
    onWindow(this.outgoing.remote_window ?? 0);
  };
  wrapIds(incoming);
  settleInRanges(incoming, session);
  return session;
}

/** Delivery ids are 32 bits wide: rhea counts on, and takes the peer's 0 for an error. */
function wrapIds(incoming: Session['incoming']): void {
  let next = incoming.next_delivery_id;
  Object.defineProperty(incoming, 'next_delivery_id', {
    get: () => next,
    set: (value: number | undefined) => {
      next = value === undefined ? undefined : value >>> 0;
    },
  });
}

/**
 * Writes what was accepted in one turn in ranges, and the rest one by one. rhea does the first in more time, and joins what
 * should be apart: it forgets to compare the outcomes of the first two, and would accept a neighbour that was to be given
 * back.
 */
function settleInRanges(incoming: Session['incoming'], { connection, local }: Session): void {
  const { process } = incoming;
  incoming.process = function (session) {
    let first: number | undefined;
    let last = 0;
    const endRange = (): void => {
      if (first !== undefined) connection.socket.write(writeAccepted(local.channel, first, last));
      first = undefined;
    };
    for (const delivery of this.updated.splice(0)) {
      const isAccepted = delivery.state === OUTCOMES.accepted;
      if (!isAccepted || delivery.id !== last + 1) endRange();
      if (isAccepted) {
        first ??= delivery.id;
        last = delivery.id;
      } else {
        this.updated = [delivery];
        process.call(this, session);
      }
    }
    endRange();
    process.call(this, session);
  };
}

/**
 * Makes a session send by itself what its links send, once it is tuned. rhea would make the frames in a later tick, and
 * tell outcomes by events.
 */
export function sendAtOnce(session: Session, size: number): void {
  const { connection, local } = session;
  session.outgoing = new Outgoing(connection, local.channel, size, readOutcome) as unknown as RheaOutgoing;
}

function readOutcome(state: unknown): { readonly outcome: SendOutcome; readonly error: unknown } | undefined {
  if (state === OUTCOMES.accepted) return { outcome: 'accepted', error: undefined };
  const read = messages.unwrap_outcome(state);
  const outcome = SEND_OUTCOMES.find((name) => name === read.constructor.composite_type);
  return outcome && { outcome, error: read.error };
}

const SEND_OUTCOMES: readonly SendOutcome[] = ['accepted', 'released', 'rejected', 'modified'];

/**
 * Lets a sender and a receiver of one session bear the same name, as the management node wants it: rhea knows links by
 * their name alone.
 */
export function pairLinks(session: Session, onUnknown?: (frame: AttachFrame) => Sender | Receiver): Session {
  const key = (name: string, sends: boolean): string => `${name} ${sends ? 'sends' : 'receives'}`;
  const { create_link } = session;
  session.create_link = function (name, role, options) {
    const link = create_link.call(this, name, role, options);
    delete this.links[name];
    this.links[key(name, link.is_sender())] = link;
    return link;
  };
  session.on_attach = function (frame) {
    const { name, role, handle } = frame.performative;
    const link = this.links[key(name, role)] ?? onUnknown?.(frame);
    if (link === undefined) throw new Error(`the peer attached a link that nobody asked for: ${name}`);
    this.remote.handles[handle] = link;
    link.on_attach(frame);
    link.remote.attach = frame.performative;
  };
  session.remove_link = function (link) {
    delete this.remote.handles[link.remote.handle];
    delete this.local.handles[link.local.handle];
    delete this.links[key(link.name, link.is_sender())];
  };
  return session;
}

export interface SenderOptions {
  readonly name?: string | undefined;
  /** Without it: the anonymous terminus. */
  readonly address?: string | undefined;
  readonly durable?: number | undefined;
  readonly capabilities?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly presettled?: boolean;
}

export function openSender(session: Session, options: SenderOptions): Sender {
  const { name, address, durable, capabilities, properties, presettled } = options;
  return session.open_sender({
    ...(name !== undefined && { name }),
    ...(properties && { properties }),
    target: {
      ...(address !== undefined && { address }),
      ...(durable !== undefined && { durable }),
      ...(capabilities && { capabilities }),
    },
    source: address === undefined || name === undefined ? {} : { address },
    snd_settle_mode: presettled ? 1 : 2,
    rcv_settle_mode: 0,
    autosettle: true,
    // Else a modified outcome would be told twice, once as released.
    treat_modified_as_released: false,
  });
}

export interface ReceiverOptions {
  readonly name?: string | undefined;
  readonly source: object;
  readonly target?: object;
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly presettled?: boolean;
}

/** Without credit: it must not be sent before the attach is known to be accepted, or RabbitMQ 4.3 ends the session. */
export function openReceiver(
  session: Session,
  { name, source, target, properties, presettled }: ReceiverOptions,
): Receiver {
  const receiver = session.open_receiver({
    ...(name !== undefined && { name }),
    ...(properties && { properties }),
    source,
    target: target ?? {},
    snd_settle_mode: presettled ? 1 : 0,
    rcv_settle_mode: 0,
    credit_window: 0,
    autoaccept: false,
    autosettle: false,
  });
  countFromThePeers(receiver);
  return receiver;
}

/** rhea ignores the peer's initial delivery count: RabbitMQ 4.0 starts 5 before the wrap, and would give 5 too many. */
export function countFromThePeers(receiver: Receiver): void {
  let count = receiver.delivery_count >>> 0;
  Object.defineProperty(receiver, 'delivery_count', {
    get: () => count,
    set: (value: number) => {
      count = value >>> 0;
    },
  });
  const { on_attach } = receiver;
  receiver.on_attach = function (frame) {
    count = (frame.performative.initial_delivery_count ?? 0) >>> 0;
    on_attach.call(this, frame);
  };
}

/** Whether the peer agreed to the link: one that it refuses has no terminus, and a detach that says why follows. */
export function isAgreed(link: Sender | Receiver): boolean {
  const terminus = link.is_sender() ? link.target : link.source;
  // A missing one is an object of rhea that stands for nothing.
  return typeof terminus === 'object' && terminus !== null && 'address' in terminus;
}

/** How many messages can be written now. `sendable` of rhea looks at the credit alone. */
export function roomOf(sender: Sender): number {
  return ownOf(sender).roomFor(sender);
}

/** Writes a message, for which there is room, at once, and returns its id. */
export function transfer(sender: Sender, bytes: Buffer, settled: boolean, onEnd: OnEnd): number {
  return ownOf(sender).transfer(sender, bytes, settled, onEnd);
}

/** The end of a message of ours is no longer of interest. */
export function forgetSent(sender: Sender, id: number): void {
  ownOf(sender).forget(id);
}

function ownOf({ session: { outgoing } }: Sender): Outgoing {
  if (outgoing instanceof Outgoing) return outgoing;
  throw new Error('a session that does not send by itself');
}

/** Takes a delivery whose outcome is no longer awaited out of the session. */
export function forget(delivery: Delivery): void {
  delivery.settled = true;
  delivery.remote_settled = true;
}

/** Takes back what credit is left. Answered by `receiver_drained`, where the peer can. */
export function drain(receiver: Receiver): void {
  receiver.drain_credit();
}

/** For peers that cannot drain: takes back the credit without an answer. Messages on their way still come. */
export function revoke(receiver: Receiver): void {
  const { delivery_count, local } = receiver;
  receiver.session._write_flow({ delivery_count, local, credit: 0, _get_drain: () => false });
}

const messages = rhea.message as unknown as MessageModule;

export type Settlement = 'accepted' | 'released' | 'rejected' | 'failed';

const OUTCOMES: Readonly<Record<Settlement, unknown>> = {
  accepted: messages.accepted().described(),
  released: messages.released().described(),
  rejected: messages.rejected({}).described(),
  failed: messages.modified({ delivery_failed: true }).described(),
};

interface MessageModule {
  unwrap_outcome(state: unknown): {
    readonly constructor: { readonly composite_type?: string };
    readonly error?: unknown;
  };
  decode(bytes: Uint8Array): DecodedMessage;
  accepted(): { described(): unknown };
  released(): { described(): unknown };
  rejected(fields: object): { described(): unknown };
  modified(fields: object): { described(): unknown };
}

/** Settles what was received. `failed` gives it back as one that failed, which peers count. */
export function settle(delivery: Delivery, outcome: Settlement): void {
  delivery.update(true, OUTCOMES[outcome]);
}

/** A message as rhea reads it. */
export interface DecodedMessage {
  readonly body?: unknown;
  readonly subject?: string;
  readonly correlation_id?: unknown;
}

/** With rhea's own decoder, which knows values of every kind; for what is not on the hot path. */
export function decodeFully(bytes: Uint8Array): DecodedMessage {
  return messages.decode(bytes);
}

/** A stream over a WebSocket, with the subprotocol that AMQP has there. */
export function webSocketStream(
  webSocket: new (url: string, protocols: string[]) => object,
  url: string,
  connected: () => void,
): unknown {
  const connect = rhea.websocket_connect(webSocket as never)(url, ['amqp'], undefined as never) as unknown as () => {
    connect(port: number, host: string, options: object, connected: () => void): unknown;
  };
  return connect().connect(0, '', {}, connected);
}

export interface AnswerOptions {
  readonly containerId: string;
  readonly properties: Readonly<Record<string, string>>;
  readonly capabilities: readonly string[];
  readonly idleTimeoutMs: number;
  readonly maxFrameBytes: number;
  readonly maxSessions: number;
  /** Without it everybody may come in, also without SASL. */
  readonly authenticate?: ((username: string, password: string) => boolean) | undefined;
}

interface Accepting extends Connection {
  readonly transport: { peek_size(buffer: Buffer): number | undefined };
  accept(socket: Socket): void;
  eof(): void;
  open(): void;
  socket_ready: boolean;
  _process(): void;
}

/** The listening side of one connection. `onEvent` hears of all that the peer opens, and of each trouble. */
export function answer(
  socket: Socket,
  options: AnswerOptions,
  onEvent: (event: string, context: Context) => void,
): Connection {
  const container = rhea.create_container({ id: options.containerId });
  const { authenticate } = options;
  container.sasl_server_mechanisms.enable_plain(authenticate ?? (() => true));
  if (authenticate === undefined) container.sasl_server_mechanisms.enable_anonymous();
  const connection = container.create_connection({
    container_id: options.containerId,
    properties: options.properties,
    offered_capabilities: options.capabilities,
    idle_time_out: options.idleTimeoutMs,
    max_frame_size: options.maxFrameBytes,
    channel_max: options.maxSessions - 1,
    tcp_no_delay: true,
    receiver_options: { credit_window: 0, autoaccept: false, autosettle: false },
    sender_options: { treat_modified_as_released: false },
  } as never) as unknown as Accepting;
  for (const event of [...OPENINGS, ...TROUBLES]) {
    (container as unknown as Emitter).on(event, (context) => onEvent(event, context));
  }
  const { _process } = connection;
  // It runs in ticks of its own, where a throw would end the process for all.
  connection._process = function () {
    try {
      _process.call(this);
    } catch (error) {
      onEvent('error', { error });
    }
  };
  connection.accept(socket);
  const { transport } = connection;
  const { peek_size } = transport;
  // rhea collects a frame of any size that the peer claims.
  transport.peek_size = function (buffer) {
    const size = peek_size.call(this, buffer);
    if (size !== undefined && size > options.maxFrameBytes) throw new Error(`a frame of ${size} bytes`);
    return size;
  };
  // rhea looks at 'end' alone, and its timers would outlive a socket that was destroyed.
  socket.once('close', () => {
    connection.eof();
    connection.socket_ready = false;
  });
  return connection;
}

const OPENINGS = ['connection_open', 'session_open', 'sender_open', 'receiver_open'] as const;

/** Ends the connection and tells the peer why, before rhea ends the stream after an error. */
export function closeNow(connection: Connection, error: WireError): void {
  // A Close frame comes after an Open frame.
  (connection as Accepting).open();
  connection.close(error);
  (connection as Accepting)._process();
}

/** Says of a message what is wrong with it. */
export function refuse(delivery: Delivery, error: WireError): void {
  delivery.update(true, messages.rejected({ error }).described());
}
