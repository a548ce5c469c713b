import { expect } from 'chai';
import fc from 'fast-check';
import { readTrace, traceHeaders } from '../src/index.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const SPAN_ID = 'b7ad6b7169203331';

const hex = (length: number) =>
  fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
    .filter((digits) => digits.some((digit) => digit !== 0))
    .map((digits) => digits.map((digit) => digit.toString(16)).join(''));

describe('traceparent', () => {
  it('tells the trace, the span and whether somebody keeps it', () => {
    const ids = { traceId: TRACE_ID, spanId: SPAN_ID };
    expect(readTrace({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-01` })).to.deep.equal({ ...ids, sampled: true });
    expect(readTrace({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-00` })).to.deep.equal({ ...ids, sampled: false });
    expect(readTrace({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-02` })).to.deep.equal({ ...ids, sampled: false });
    expect(readTrace({ traceparent: `00-${TRACE_ID}-${SPAN_ID}-03` })).to.deep.equal({ ...ids, sampled: true });
  });

  it('of a version to come is understood as far as this one goes', () => {
    expect(readTrace({ traceparent: `01-${TRACE_ID}-${SPAN_ID}-01-more` })).to.include({ traceId: TRACE_ID });
    expect(readTrace({ traceparent: `cc-${TRACE_ID}-${SPAN_ID}-01` })).to.include({ traceId: TRACE_ID });
  });

  for (const [why, traceparent] of Object.entries({
    'there is none': undefined,
    'it is no text': 7,
    'it is empty': '',
    'its version is forbidden': `ff-${TRACE_ID}-${SPAN_ID}-01`,
    'its version has no digits': `0-${TRACE_ID}-${SPAN_ID}-01`,
    'this version has more than it may': `00-${TRACE_ID}-${SPAN_ID}-01-more`,
    'a version to come goes on without a dash': `01-${TRACE_ID}-${SPAN_ID}-01more`,
    'the trace is all zeros': `00-${'0'.repeat(32)}-${SPAN_ID}-01`,
    'the span is all zeros': `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
    'digits are upper-case': `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`,
    'digits are missing': `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`,
    'flags are missing': `00-${TRACE_ID}-${SPAN_ID}`,
    'there is space around it': ` 00-${TRACE_ID}-${SPAN_ID}-01`,
    'a line follows': `00-${TRACE_ID}-${SPAN_ID}-01\n`,
  }))
    it(`is ignored when ${why}`, () => {
      expect(readTrace({ traceparent: traceparent as string, tracestate: 'a=1' })).to.equal(undefined);
    });

  it('has its tracestate with it, unless that is longer than anybody has to pass on', () => {
    const traceparent = `00-${TRACE_ID}-${SPAN_ID}-01`;
    expect(readTrace({ traceparent, tracestate: 'a=1,b=2' })).to.include({ state: 'a=1,b=2' });
    for (const tracestate of ['', 'a'.repeat(513), 7])
      expect(readTrace({ traceparent, tracestate })).to.not.have.property('state');
  });

  it('comes back as it was', () => {
    const traces = fc.record({ traceId: hex(32), spanId: hex(16), sampled: fc.boolean() });
    fc.assert(
      fc.property(traces, (trace) => {
        expect(readTrace(traceHeaders(trace))).to.deep.equal(trace);
      }),
    );
    const stateful = { traceId: TRACE_ID, spanId: SPAN_ID, sampled: true, state: 'a=1' };
    expect(readTrace(traceHeaders(stateful))).to.deep.equal(stateful);
  });

  it('never throws, whatever it is', () => {
    fc.assert(fc.property(fc.string(), (traceparent) => readTrace({ traceparent }) === undefined));
  });
});
