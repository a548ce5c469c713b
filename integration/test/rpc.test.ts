import { describeRPC } from '../src/suites/rpc.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) describeRPC(transport);
