import { expect } from 'chai';
import { places } from '../src/places.ts';
import { bootAnInstance } from '../src/scenarios/boot-an-instance.ts';
import { Transcript } from '../src/scenarios/transcript.ts';

const INSTANCE = 'web (i-1, 2 vCPUs)';
const HEARD = ['start', 'progress', 'progress', 'progress', 'end'].map(
  (what) => `hears compute.instance.create.${what} from compute.host2`,
);

/** Whoever of a pool did it. */
const TOLD = [
  'api: POST /servers answered 202 in … ms',
  'api: call conductor oslo_rpc_server_ping = "pong"',
  'api: cast conductor compute_task.build_instances',
  `conductor: builds ${INSTANCE}`,
  'conductor: call scheduler select_destinations = {"host":"host2"}',
  `scheduler: picks host2 for ${INSTANCE}`,
  'conductor: cast compute@host2 build_and_run_instance',
  `host2: runs ${INSTANCE}`,
  ...HEARD.map((heard) => `dashboard: ${heard}`),
  ...HEARD.map((heard) => `collector: ${heard}`),
  'billing: has a verified meter: 2 vcpus of i-1',
  'api: call compute@host2 reboot_instance = "rebooted"',
  'host2: reboots i-1',
  'api: fanout compute refresh_images',
  'host1: refreshes its images',
  'host2: refreshes its images',
];

describe('boot an instance', function () {
  this.timeout(60_000);

  for (const { name, open } of places())
    it(`E2, G-21, G-28: over ${name} each part does its share, the events make one verified meter, and host1 is left alone`, async function () {
      await using place = await open(this);
      const transcript = new Transcript('collector', 'conductor');
      await bootAnInstance({ url: place.url, ...transcript });
      expect(transcript.lines).to.deep.equal(TOLD.toSorted());
    });
});
