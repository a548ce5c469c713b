import { type Skip } from './found.ts';
import { type RabbitBroker } from './rabbit.ts';
import { type RabbitPorts } from './rabbit-node.ts';
/** What a test wants otherwise than the broker of `findRabbit`. */
export interface RabbitProcessOptions {
    /** Lines for rabbitmq.conf: `consumer_timeout = 2000`. */
    readonly conf?: readonly string[];
    /** Plugins besides management and AMQP 1.0. */
    readonly plugins?: readonly string[];
    readonly member?: ClusterMember;
}
/** What the nodes of a cluster must agree on, known before the first of them starts. */
export interface ClusterMember {
    readonly ports: RabbitPorts;
    readonly cookie: string;
    /** Starts the epmd that its siblings use too. */
    readonly first: boolean;
}
/**
 * Starts an installed RabbitMQ, apart from any other on the machine: ports, node name, epmd, cookie and data are its
 * own, and it listens on 127.0.0.1 only. Installs it first where that is possible. Each call starts another broker.
 */
export declare function startRabbitProcess(options?: RabbitProcessOptions): Promise<RabbitBroker | Skip>;
/** Free ports for a node. */
export declare function rabbitPorts(): Promise<RabbitPorts>;
//# sourceMappingURL=rabbit-process.d.ts.map