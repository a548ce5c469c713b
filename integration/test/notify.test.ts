import { describeNotifications } from '../src/suites/notify.ts';
import { transports } from '../src/transports.ts';

for (const transport of transports()) describeNotifications(transport);
