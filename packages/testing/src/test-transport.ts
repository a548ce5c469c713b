import { type Logger, MemoryFaults, memory, Transport, type TransportOptions } from '@posthorn/core';
import { Traffic } from './traffic.ts';

export interface TestTransportOptions extends Pick<TransportOptions, 'wire' | 'onStatus' | 'maxMessageBytes'> {
  /** Default: silent. */
  readonly logger?: Logger;
}

export interface TestTransport extends AsyncDisposable {
  /** Over a broker in this process, which nobody else uses. */
  readonly transport: Transport;
  /** What is sent and handled over it. */
  readonly traffic: Traffic;
  /** Makes trouble for it. */
  readonly faults: MemoryFaults;
}

/**
 * What a service under test needs: a transport, what goes over it, and troubles.
 *
 * ```ts
 * await using test = await testTransport();
 * await new Orders(test.transport).place('o-1');
 * test.traffic.expect({ operation: 'cast', topic: 'shipping', name: 'ship', content: { order: 'o-1' } });
 * ```
 */
export async function testTransport(options: TestTransportOptions = {}): Promise<TestTransport> {
  const faults = new MemoryFaults();
  const transport = await Transport.open((context) => memory(context, { faults }), options);
  const traffic = new Traffic(transport);
  return {
    transport,
    traffic,
    faults,
    [Symbol.asyncDispose]: async () => {
      // At once: what a test left running must not keep it.
      await transport.close({ signal: AbortSignal.abort() });
      traffic[Symbol.dispose]();
    },
  };
}
