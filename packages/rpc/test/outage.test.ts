import { MemoryFaults, memory, Transport } from '@posthorn/core';
import { expect } from 'chai';
import { RPCClient } from '../src/index.ts';

describe('calls during an outage', () => {
  it('are refused as OVERLOADED beyond 10,000 that wait', async () => {
    const faults = new MemoryFaults();
    const transport = await Transport.open((context) => memory(context, { faults }));
    faults.disconnect();
    const client = new RPCClient(transport, { target: { topic: 't' } });
    const waiting = Array.from({ length: 10_000 }, () =>
      client.call({}, 'm').catch((error: { code: string }) => error.code),
    );
    const refused = await client.call({}, 'm').catch((error: { code: string }) => error.code);
    expect(refused).to.equal('OVERLOADED');
    await transport.close();
    expect(new Set(await Promise.all(waiting))).to.deep.equal(new Set(['CLOSED']));
  });
});
