import { newId, type Status } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';
import { recordingLogger } from '../src/recording-logger.ts';
import { waitFor } from '../src/wait-for.ts';

const HEARTBEAT_MS = 4_000;
/** Longer than the driver lets its peer be silent, shorter than the broker lets us. */
const STALL_MS = 6_600;

describe('RabbitMQ: an event loop that is blocked', () => {
  it('is warned of, and is not taken for a broker that has gone silent', async function () {
    this.timeout(60_000);
    const { url } = await needRabbit(this);
    const logger = recordingLogger();
    const statuses: Status['state'][] = [];
    await using transport = await connectQuietly(`${url}?heartbeatMs=${HEARTBEAT_MS}`, {
      logger,
      onStatus: ({ state }) => void statuses.push(state),
    });
    const topic = newId();
    const endpoint = {
      block(): string {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STALL_MS);
        return 'blocked';
      },
      quick: (): string => 'quick',
    };
    await new RPCServer(transport, { target: { topic, server: 'one' }, endpoints: [endpoint] }).start();
    const client = new RPCClient(transport, { target: { topic } });
    expect(await client.call({}, 'block', {})).to.equal('blocked');
    const warning = await waitFor('the warning', () => logger.lines.find(({ message }) => /event loop/.test(message)));
    expect(warning).to.include({
      level: 'warn',
      message: 'the event loop was blocked: the broker hears no heartbeats meanwhile',
    });
    expect(warning.fields).to.have.property('silentAfterMs', 1.5 * HEARTBEAT_MS);
    expect(warning.fields)
      .to.have.property('blockedMs')
      .that.is.within(STALL_MS - HEARTBEAT_MS / 4 - 50, 2 * STALL_MS);
    expect(await client.call({}, 'quick', {})).to.equal('quick');
    expect(statuses).to.deep.equal(['connected']);
    expect(transport.health()).to.include({ state: 'healthy', reconnects: 0, lastError: undefined });
  });
});
