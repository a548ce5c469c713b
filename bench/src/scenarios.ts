import type { Scenario } from './scenario.ts';
import { cast } from './scenarios/cast.ts';
import { connect } from './scenarios/connect.ts';
import { consume } from './scenarios/consume.ts';
import { fanout } from './scenarios/fanout.ts';
import { memory } from './scenarios/memory.ts';
import { notify } from './scenarios/notify.ts';
import { publish } from './scenarios/publish.ts';
import { rivals } from './scenarios/rivals.ts';
import { roundtrips } from './scenarios/roundtrips.ts';
import { rpc } from './scenarios/rpc.ts';
import { scale } from './scenarios/scale.ts';
import { serverOverhead } from './scenarios/server-overhead.ts';
import { tavrida } from './scenarios/tavrida.ts';
import { wires } from './scenarios/wires.ts';

/** All that can be measured, by the name on the command line. */
export const scenarios: readonly Scenario[] = [
  rpc,
  cast,
  publish,
  consume,
  notify,
  fanout,
  serverOverhead,
  roundtrips,
  scale,
  connect,
  memory,
  wires,
  rivals,
  ...tavrida,
];
