import { flowed } from '../flowed.ts';
import { PREFETCH } from '../work.ts';

const LEVELS = [1, 100, 1_000];
const MESSAGES = 20_000;
/** One at a time takes long. */
const MESSAGES_ALONE = 2_000;

/** Confirmed casts, to a server whose method does nothing. */
export const cast = flowed({
  name: 'cast',
  about: 'confirmed, persistent casts to a server whose method is empty',
  columns: [{ key: 'inFlight', title: 'unconfirmed' }],
  lines: [
    `RPCClient.cast to RPCServer: persistent and confirmed; ${PREFETCH} prefetched, acknowledged when the method starts`,
    'twin: plain amqplib with the same promises, tuned; sender and receiver are two processes',
  ],
  cases: ({ inFlight: levels = LEVELS, messages }) =>
    levels.map((inFlight) => ({
      cells: { inFlight },
      parts: { sender: { role: 'caster' }, receiver: { role: 'sink' } },
      inFlight,
      messages: messages ?? (inFlight === 1 ? MESSAGES_ALONE : MESSAGES),
    })),
});
