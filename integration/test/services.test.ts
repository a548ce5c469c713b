import { describeServices } from '../src/suites/services.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) describeServices(transport);
