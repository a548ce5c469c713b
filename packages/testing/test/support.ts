import type { Transport } from '@posthorn/core';
import { type Endpoint, RPCClient, RPCServer } from '@posthorn/rpc';

/** Serves the endpoint as `payment`, and calls it. */
export async function payment(transport: Transport, endpoint: Endpoint): Promise<RPCClient> {
  await new RPCServer(transport, { target: { topic: 'payment', server: 'fake' }, endpoints: [endpoint] }).start();
  return new RPCClient(transport, { target: { topic: 'payment' } });
}
