import { fileURLToPath } from 'node:url';
import { parseTransportUrl } from '@posthorn/core';
import { expect } from 'chai';
import { makeCertificates } from '../src/certificates.ts';
import { NodePeer } from '../src/node-peer.ts';
import { places } from '../src/places.ts';
import { connectQuietly, rejection } from '../src/rabbit-lab.ts';
import { type Deployed, type DeployOptions, deployAgents } from '../src/scenarios/deploy-agents.ts';
import { Transcript } from '../src/scenarios/transcript.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { openTlsFront } from '../src/tls-front.ts';

const ENGINE = fileURLToPath(new URL('./programs/deployment-engine.ts', import.meta.url));
const apiOf = (task: number): string => (task % 2 === 0 ? 'api-1' : 'api-2');

/** What the API that asked is told of a deployment, in this order. */
const REPORTS = [1, 2, 3, 4, 5].map((task) => [
  `deployment ${task} has a plan`,
  `deployment ${task} waits for the agent`,
  ...(task === 5
    ? ['deployment 5 gives up', 'deployment 5 has failed: the agent does not answer']
    : [`deployment ${task} is done: prepare agent-${task}: ok, install web: ok`, `deployment ${task} has finished`]),
]);

const TOLD_IN_EITHER = [
  ...[1, 2, 3, 4, 5].map((task) => `${apiOf(task)}: asks for deployment ${task}, and has done its part`),
  ...REPORTS.flatMap((lines, index) => lines.map((line) => `${apiOf(index + 1)}: ${line}`)),
  ...[1, 2, 3, 4].map((machine) => `agent-${machine}: runs its plan`),
  'engine-1: is killed',
];
const TOLD = [
  ...TOLD_IN_EITHER,
  'agent-2: loses its network, and goes on',
  'agent-1: refuses a plan: replayed',
  'agent-5: has no mailbox',
];

interface Run extends Deployed {
  /** Sorted. */
  readonly told: readonly string[];
  /** What each deployment's API was told, in the order in which it was. */
  readonly order: readonly (readonly string[])[];
}

async function run(options: Pick<DeployOptions, 'url' | 'leg' | 'startEngine'>): Promise<Run> {
  const transcript = new Transcript();
  const events: string[] = [];
  const deployed = await deployAgents({
    ...options,
    onHop: transcript.onHop,
    onEvent: (who, what) => {
      transcript.onEvent(who, what);
      events.push(what);
    },
  });
  const order = REPORTS.map((_, index) => events.filter((what) => what.startsWith(`deployment ${index + 1} `)));
  return { ...deployed, told: transcript.lines, order };
}

/** What holds however plans come to agents, and however the engine died. */
function expectOnce({ order, results, ran, began, connections }: Run, networked: boolean): void {
  expect(order).to.deep.equal(REPORTS);
  expect([...results]).to.have.deep.members([1, 2, 3, 4, 5].map((task) => [task, 1]));
  expect([...ran]).to.have.deep.members([1, 2, 3, 4].map((task) => [task, 1]));
  expect(began.get('engine-1')?.size, 'tasks of the engine that died').to.be.within(1, 3);
  expect([...(began.get('engine-2') ?? [])], 'tasks of the other one, in the end').to.have.members([1, 2, 3, 4, 5]);
  const once = networked ? 1 : undefined;
  expect(connections).to.deep.equal({ 'engine-1': once, 'engine-2': once });
}

describe('deploy agents', function () {
  this.timeout(90_000);

  for (const { name, open } of places()) {
    const networked = name !== 'memory';

    describe(`over ${name}`, () => {
      it('E3, M-01…M-08, M-13, M-14, M-19, M-20: four deployments finish, each report before the one result, whatever happens on the way', async function () {
        await using place = await open(this);
        const story = await run({ url: place.url });
        expect(story.told).to.deep.equal(TOLD.toSorted());
        expectOnce(story, networked);
        expect(story.mailboxMs, 'the mailbox that nobody read').to.be.at.least(5_000);
      });

      it('E3, M-12: agents that say hello are called, and nothing is done twice', async function () {
        await using place = await open(this);
        const story = await run({ url: place.url, leg: 'call' });
        expect(story.told).to.deep.equal(TOLD_IN_EITHER.toSorted());
        expectOnce(story, networked);
      });

      if (!networked) return;

      it('E3, M-05: an engine process that is killed leaves its tasks to the other, and nothing is done twice', async function () {
        await using place = await open(this);
        const story = await run({
          url: place.url,
          startEngine: async (...args) => {
            const engine = await NodePeer.start(ENGINE, args);
            await engine.line('ready');
            return () => engine.kill();
          },
        });
        expect(story.told).to.deep.equal(TOLD.toSorted());
        expectOnce(story, networked);
      });

      it('E3, M-15: over TLS it is the same, and who trusts another authority is refused', async function () {
        await using place = await open(this);
        const { ca, wrongCa, server } = await makeCertificates(makeTempFolder('deploy'));
        const [{ host, port = 5_672 } = { host: '127.0.0.1' }] = parseTransportUrl(place.url).hosts;
        await using front = await openTlsFront({ host, port }, server);
        const trusting = (authority: string): string => {
          const url = new URL(place.url.replace(/^\w+/, '$&s'));
          url.host = `127.0.0.1:${front.port}`;
          url.searchParams.set('ca', authority);
          return url.href;
        };
        const story = await run({ url: trusting(ca) });
        expect(story.told).to.deep.equal(TOLD.toSorted());
        expectOnce(story, networked);
        expect(await rejection(connectQuietly(trusting(wrongCa)))).to.include({ code: 'ACCESS' });
      });
    });
  }
});
