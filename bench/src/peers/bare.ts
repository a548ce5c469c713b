/**
 * The process of a loop that does no more than what every call must: it makes the request and reads it, makes the reply and
 * reads it, with the codec that Posthorn uses.
 */
import { json, newId } from '@posthorn/core';
import { nativeCodec } from '@posthorn/rpc';
import { obey } from '../peer.ts';
import { ARGS, METHOD, reboot, TIMEOUT_MS } from '../work.ts';

const codec = nativeCodec([json]);

obey(async () => ({ operate: encodeAndDecode, close: async () => undefined }));

function encodeAndDecode(): unknown {
  const outgoing = codec.encodeRequest({
    id: newId(),
    method: METHOD,
    args: ARGS,
    context: {},
    replyTo: 'reply/bench',
    timeoutMs: TIMEOUT_MS,
  });
  const incoming = codec.decodeRequest(outgoing);
  if (incoming.kind !== 'request') throw new Error('a request is read as something else');
  const result = reboot(incoming.request.args as typeof ARGS);
  const reply = codec.decodeReply(codec.encodeReply(incoming.request, { kind: 'result', value: result }));
  return reply.kind === 'result' ? reply.value : undefined;
}
