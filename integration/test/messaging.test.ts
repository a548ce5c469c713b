import { describeMessaging } from '../src/suites/messaging.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) describeMessaging(transport);
