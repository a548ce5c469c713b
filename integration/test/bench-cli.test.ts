import { serveBroker } from '@posthorn/amqp1';
import { expect } from 'chai';
import type { ManagementApi } from '../src/management.ts';
import { posthorn, records, startPosthorn } from '../src/posthorn-command.ts';
import { isSkip, type RabbitBroker, rabbitVersions } from '../src/rabbit-broker.ts';
import { needRabbit } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { waitFor } from '../src/wait-for.ts';

const SCENARIOS = [
  ['rpc', 1],
  ['rpc', 10],
  ['rpc', 100],
  ['rpc', 1_000],
  ['publish', 1],
  ['publish', 1_000],
  ['consume', 32],
  ['notify', 100],
];

/** What benches left on a broker. */
async function leftovers(api: ManagementApi): Promise<readonly string[]> {
  const all = [...(await api.queues()), ...(await api.exchanges())];
  return all.map(({ name }) => name).filter((name) => name.includes('posthorn-bench-'));
}

describe('posthorn bench', function () {
  this.timeout(120_000);

  for (const { name, find } of rabbitVersions())
    it(`measures ${name}, in the time that it said, and leaves nothing behind`, async function () {
      const broker: Awaited<ReturnType<typeof find>> = await find();
      if (isSkip(broker)) return skip(this, name, broker.skip);
      const [facts, ...results] = records(await posthorn(['bench', broker.url, '--seconds', '0.5', '--json']));
      expect(facts).to.include({ broker: `RabbitMQ ${broker.version}`, scenarios: SCENARIOS.length });
      expect(facts?.['seconds']).to.be.within(5, 10);
      expect(results.map(({ scenario, inFlight }) => [scenario, inFlight])).to.deep.equal(SCENARIOS);
      for (const { perSecond, count, scenario } of results) {
        expect(count, `${scenario}`).to.be.greaterThan(0);
        expect(perSecond, `${scenario}`).to.be.greaterThan(0);
      }
      if (broker.api !== undefined) expect(await leftovers(broker.api)).to.deep.equal([]);
    });

  it('cleans up after an interruption, and prints what it has', async function () {
    const broker: RabbitBroker & { readonly api: ManagementApi } = await needRabbit(this);
    const { lines, process } = await startPosthorn(['bench', broker.url, '--seconds', '30']);
    try {
      await waitFor('the second scenario', () => process.tail.some((line) => line === 'rpc, 1 in flight'), 30_000);
      process.signal('SIGINT');
      expect(await process.wait(), process.tail.join('\n')).to.equal('code 130');
      expect(lines.some((line) => /^rpc +1 /.test(line))).to.equal(true);
      expect(lines.some((line) => /^rpc +10 /.test(line))).to.equal(false);
      expect(await leftovers(broker.api)).to.deep.equal([]);
    } finally {
      await process.stop();
    }
  });

  it('prints a table for people, over memory and over posthorn broker', async () => {
    const broker = await serveBroker({ port: 0 });
    try {
      for (const url of ['memory://', broker.url]) {
        const { end, lines, text } = await posthorn(['bench', url, '--seconds', '0.2']);
        expect(end, text).to.equal('code 0');
        expect(lines[1]).to.match(/^8 scenarios, about \d+ s; Ctrl-C ends it sooner$/);
        expect(lines.filter((line) => /^(rpc|publish|consume|notify) /.test(line))).to.have.length(SCENARIOS.length);
      }
    } finally {
      await broker.close();
    }
  });

  it('refuses a time that makes no sense', async () => {
    for (const seconds of ['0', '61', 'two'])
      expect((await posthorn(['bench', 'memory://', '--seconds', seconds])).end).to.equal('code 2');
  });
});
