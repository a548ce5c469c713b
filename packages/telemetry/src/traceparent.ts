/** Where in a trace something happens: what the headers `traceparent` and `tracestate` of W3C Trace Context tell. */
export interface TraceContext {
  /** 32 lower-case hexadecimal digits. */
  readonly traceId: string;
  /** 16 lower-case hexadecimal digits. */
  readonly spanId: string;
  /** Whether somebody before keeps this trace. */
  readonly sampled: boolean;
  /** `tracestate`, as it came. */
  readonly state?: string | undefined;
}

export const TRACEPARENT = 'traceparent';
export const TRACESTATE = 'tracestate';

type Headers = Readonly<Record<string, unknown>>;

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NOTHING = /^0+$/;
const SAMPLED = 1;
/** What the standard asks everybody to pass on; longer ones are dropped whole. */
const LONGEST_STATE = 512;

/** What the headers tell. Undefined where there is nothing, or nothing that the standard allows. */
export function readTrace(headers: Headers): TraceContext | undefined {
  const header = headers[TRACEPARENT];
  const parts = typeof header === 'string' ? FORM.exec(header) : null;
  if (parts === null) return undefined;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = parts;
  // Versions to come may say more after the flags; the first says no more.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (NOTHING.test(traceId) || NOTHING.test(spanId)) return undefined;
  const state = headers[TRACESTATE];
  return {
    traceId,
    spanId,
    sampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0,
    ...(typeof state === 'string' && state !== '' && state.length <= LONGEST_STATE && { state }),
  };
}

/** The headers that tell it. */
export function traceHeaders({ traceId, spanId, sampled, state }: TraceContext): Record<string, string> {
  const traceparent = `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
  return { [TRACEPARENT]: traceparent, ...(state !== undefined && { [TRACESTATE]: state }) };
}
