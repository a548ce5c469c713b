// Logs as an application does, and ends as soon as it has nothing more to do.
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';

const [url = '', topic = ''] = process.argv.slice(2);
const target = fileURLToPath(new URL('pino-transport.mjs', import.meta.url));
const logger = pino({
  level: 'trace',
  transport: { target, options: { url, publisherId: 'app.host1', topics: [topic] } },
});
logger.trace('traced');
logger.debug('debugged');
logger.info({ user: 'alice', password: 'hunter2-field', nested: { apiKey: 'hunter2-key' } }, 'informed');
logger.warn('see rabbit://guest:hunter2-url@host/ with token=hunter2-text');
logger.error(new Error('it broke'), 'failed');
logger.fatal('gone');
