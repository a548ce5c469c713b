import { looped } from '../looped.ts';

/** What the framework itself costs: calls in one process, with no broker and no socket. */
export const memory = looped({
  name: 'memory',
  about: 'calls within one process with the real codec, beside a bare loop of the same encodes and decodes',
  schemes: ['memory'],
  unit: 'Call',
  waiting: 'in flight',
  levels: [1, 100, 1_000],
  lines: [
    'RPCClient and RPCServer on one transport, the real codec; not persistent, no confirms',
    'twin: a loop that encodes and decodes the request and the reply with the same codec, and does no more',
  ],
  notes: ['CPU: of the one process.'],
  parts: { sender: { role: 'loopback' } },
  twin: 'bare',
});
