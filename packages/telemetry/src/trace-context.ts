import { AsyncLocalStorage } from 'node:async_hooks';
import { type Activity, newId, processing, sending } from '@posthorn/core';
import { readTrace, TRACEPARENT, type TraceContext, traceHeaders } from './traceparent.ts';

const SPAN_DIGITS = 16;

/** A step of a trace: something sent, or something done with what was sent. */
export interface Step extends TraceContext {
  /** The step that it is part of. Undefined for the first of a trace. */
  readonly parentId: string | undefined;
}

export interface PropagationOptions {
  /**
   * Whether what this process does are steps of their own, with ids, and begin a trace where there is none: for those who
   * record them. `'sampled'`: only in traces that somebody before keeps, and none begins here. Without it, what came is
   * passed on as it came. Default false.
   */
  readonly steps?: boolean | 'sampled';
}

/**
 * The traces that this process takes part in, without OpenTelemetry. What is sent from within a handler, however deep and
 * after whatever `await`, carries on the trace of the message that is handled.
 *
 * A `traceparent` that is among the headers already, of OpenTelemetry or of the application, is never overwritten: it is
 * then the step's. So several of these, and OpenTelemetry, can be used at the same time.
 */
export interface Propagation extends Disposable {
  /** Where the code that asks is; undefined outside of traces. */
  current(): TraceContext | undefined;
  /** Does work as part of a trace that came otherwise than by a message, from an HTTP request for one. */
  run<T>(context: TraceContext | undefined, work: () => T): T;
  /**
   * The ids of what a channel tells about. Ask at its end (`asyncEnd`, `error`): only then it is certain what was sent.
   * Undefined without `steps`, and for what began before this did.
   */
  stepOf(activity: Activity): Step | undefined;
}

/** Keeps and passes on `traceparent` and `tracestate`, until disposed of. */
export function propagation({ steps = false }: PropagationOptions = {}): Propagation {
  const store = new AsyncLocalStorage<{ readonly trace: TraceContext | undefined }>();
  const parents = new WeakMap<Activity, TraceContext | undefined>();
  const received = new WeakMap<Activity, Step>();

  const hasSteps = (trace: TraceContext | undefined): boolean =>
    steps === 'sampled' ? trace?.sampled === true : steps;

  const send = (message: unknown): void => {
    const activity = message as Activity;
    const parent = store.getStore()?.trace;
    if (steps) parents.set(activity, parent);
    if (activity.headers[TRACEPARENT] !== undefined) return;
    const context = hasSteps(parent) ? stepIn(parent) : parent;
    if (context !== undefined) Object.assign(activity.headers, traceHeaders(context));
  };
  const receive = (activity: Activity): TraceContext | undefined => {
    const sender = readTrace(activity.headers);
    if (!hasSteps(sender)) return sender;
    const step = stepIn(sender);
    received.set(activity, step);
    return step;
  };

  sending.start.subscribe(send);
  processing.start.bindStore(store, (activity) => ({ trace: receive(activity) }));
  return {
    current: () => store.getStore()?.trace,
    run: (context, work) => store.run({ trace: context }, work),
    stepOf(activity) {
      const step = received.get(activity);
      if (step !== undefined || !parents.has(activity)) return step;
      const sent = readTrace(activity.headers);
      return sent && { ...sent, parentId: parents.get(activity)?.spanId };
    },
    [Symbol.dispose]() {
      sending.start.unsubscribe(send);
      processing.start.unbindStore(store);
    },
  };
}

function stepIn(parent: TraceContext | undefined): Step {
  const spanId = newId().slice(SPAN_DIGITS);
  if (parent !== undefined) return { ...parent, spanId, parentId: parent.spanId };
  return { traceId: newId(), spanId, sampled: true, parentId: undefined };
}
