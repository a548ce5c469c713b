import { type Skip } from './found.ts';
import type { RabbitBroker } from './rabbit.ts';
export { isSkip, type Skip } from './found.ts';
export { type RabbitAddress, type RabbitBroker, type RabbitTls, rabbitUrl } from './rabbit.ts';
/**
 * A RabbitMQ, looked for once per process: by URL in the environment, else in Docker, else an installed server that is
 * started on ports and data of our own, else one that is installed first (Debian, as root), else the reason to skip.
 * A URL in the environment that does not answer is an error, never a skip.
 */
export declare function findRabbit(): Promise<RabbitBroker | Skip>;
/** A broker to run a suite against; nothing is started before `find` is called. */
export interface RabbitCandidate {
    readonly name: string;
    find(): Promise<RabbitBroker | Skip>;
}
/**
 * The brokers to run suites against, known already while suites are defined: whichever `findRabbit` finds, and other
 * versions by POSTHORN_RABBIT40_URL and POSTHORN_RABBIT43_URL (with POSTHORN_RABBIT40_API, …43_API), when set.
 */
export declare function rabbitVersions(): RabbitCandidate[];
//# sourceMappingURL=rabbit-broker.d.ts.map