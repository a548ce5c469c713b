import { isSkip, type Skip } from './found.ts';
import type { RabbitBroker } from './rabbit.ts';
import { rabbitByEnvironment } from './rabbit-by-environment.ts';
import { startRabbitInDocker } from './rabbit-in-docker.ts';
import { startRabbitProcess } from './rabbit-process.ts';

export { isSkip, type Skip } from './found.ts';
export { type RabbitAddress, type RabbitBroker, type RabbitTls, rabbitUrl } from './rabbit.ts';

let found: Promise<RabbitBroker | Skip> | undefined;

/**
 * A RabbitMQ, looked for once per process: by URL in the environment, else in Docker, else an installed server that is
 * started on ports and data of our own, else one that is installed first (Debian, as root), else the reason to skip.
 * A URL in the environment that does not answer is an error, never a skip.
 */
export function findRabbit(): Promise<RabbitBroker | Skip> {
  found ??= search();
  return found;
}

async function search(): Promise<RabbitBroker | Skip> {
  const given = await rabbitByEnvironment('POSTHORN_RABBIT');
  if (given) return given;
  const container = await startRabbitInDocker();
  if (!isSkip(container)) return container;
  const local = await startRabbitProcess();
  if (!isSkip(local)) return local;
  return { skip: `no RabbitMQ: POSTHORN_RABBIT_URL is not set; ${container.skip}; ${local.skip}` };
}

/** A broker to run a suite against; nothing is started before `find` is called. */
export interface RabbitCandidate {
  readonly name: string;
  find(): Promise<RabbitBroker | Skip>;
}

/**
 * The brokers to run suites against, known already while suites are defined: whichever `findRabbit` finds, and other
 * versions by POSTHORN_RABBIT40_URL and POSTHORN_RABBIT43_URL (with POSTHORN_RABBIT40_API, …43_API), when set.
 */
export function rabbitVersions(): RabbitCandidate[] {
  const others = [
    { name: 'RabbitMQ 4.0', prefix: 'POSTHORN_RABBIT40' },
    { name: 'RabbitMQ 4.3', prefix: 'POSTHORN_RABBIT43' },
  ].filter(({ prefix }) => process.env[`${prefix}_URL`]);
  return [{ name: 'RabbitMQ', find: findRabbit }, ...others.map(({ name, prefix }) => candidate(name, prefix))];
}

function candidate(name: string, prefix: string): RabbitCandidate {
  let broker: Promise<RabbitBroker | undefined> | undefined;
  return {
    name,
    find: async () => {
      broker ??= rabbitByEnvironment(prefix);
      return (await broker) ?? { skip: `${prefix}_URL is not set` };
    },
  };
}
