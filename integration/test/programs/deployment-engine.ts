// An engine of the story of deploy-agents.ts in a process of its own, to be killed.
import { connect, silent } from 'posthorn';
import { Engine } from '../../src/scenarios/deployment-engine.ts';

const [name = '', url = '', leg] = process.argv.slice(2);
await new Engine(name, await connect(url, { logger: silent }), leg === 'call' ? 'call' : 'mailbox').start();
console.log('ready');
