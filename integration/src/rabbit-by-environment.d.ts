import { type RabbitBroker } from './rabbit.ts';
/**
 * The broker that `<prefix>_URL` names (`rabbit://user:password@host:port/vhost`), its management API from
 * `<prefix>_API` (`http://host:port/api`, with the broker's credentials unless it brings its own).
 * Undefined when the variable is not set; rejects when nobody answers there.
 */
export declare function rabbitByEnvironment(prefix: string): Promise<RabbitBroker | undefined>;
//# sourceMappingURL=rabbit-by-environment.d.ts.map