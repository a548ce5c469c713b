import { newId, silent } from '@posthorn/core';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { reportTelemetry, TELEMETRY_EXCHANGE } from '@posthorn/telemetry';
import { expect } from 'chai';
import { rabbitUrl } from '../src/rabbit-broker.ts';
import { connectQuietly, needRabbit } from '../src/rabbit-lab.ts';
import { openVhost } from '../src/vhost.ts';
import { waitFor } from '../src/wait-for.ts';

const OTHERS = `^(?!${TELEMETRY_EXCHANGE.replace('.', '\\.')}$).*$`;

describe('telemetry of a user who is not allowed to report', function () {
  this.timeout(60_000);

  for (const [what, permissions] of [
    ['write to its exchange', { write: OTHERS }],
    ['make its exchange', { configure: OTHERS }],
  ] as const)
    it(`to ${what} is tried once, told once, and no call is lost to it`, async function () {
      const broker = await needRabbit(this);
      const { api } = broker;
      await using place = await openVhost(broker);
      const [user, password] = [`telemetry-${newId()}`, 'no secret'];
      await api.putUser(user, password);
      try {
        await api.putPermissions(place.vhost, user, permissions);
        // The exchange is there, so that nothing but the permission to write to it is lacking.
        await using other = await connectQuietly(place.url);
        const key = { kind: 'topic', exchange: TELEMETRY_EXCHANGE, key: 'x' } as const;
        if ('write' in permissions) await other.send(key, { body: Buffer.of() }, { confirm: true });
        const warnings: string[] = [];
        const warn = (_: object, message = ''): void => void warnings.push(message);
        const url = rabbitUrl({ ...place, user, password });
        await using transport = await connectQuietly(url, { logger: { ...silent, warn } });
        await new RPCServer(transport, {
          target: { topic: 'echo', server: 'one' },
          endpoints: [{ echo: () => 1 }],
        }).start();
        const client = new RPCClient(transport, { target: { topic: 'echo' }, timeoutMs: 10_000 });
        reportTelemetry(transport, { service: 'refused', everyMs: 100 });
        const until = performance.now() + 1_000;
        // A call that were lost would reject.
        while (performance.now() < until) await client.call({}, 'echo', {});
        await waitFor('the warning', () => warnings.some((text) => text.startsWith('telemetry could not be sent')));
        expect(warnings.filter((text) => text.startsWith('telemetry'))).to.have.length(1);
        expect(warnings.filter((text) => text.startsWith('a channel was closed'))).to.have.length.at.most(1);
      } finally {
        await api.deleteUser(user);
      }
    });
});
