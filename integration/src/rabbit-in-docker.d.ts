import type { Skip } from './found.ts';
import { type RabbitBroker } from './rabbit.ts';
/** Starts RabbitMQ in a container; without a container engine says so within a few milliseconds. */
export declare function startRabbitInDocker(): Promise<RabbitBroker | Skip>;
//# sourceMappingURL=rabbit-in-docker.d.ts.map