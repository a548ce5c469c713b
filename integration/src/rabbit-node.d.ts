import type { Certificates, KeyPair } from './certificates.ts';
/** Ports on 127.0.0.1: AMQP plain and over TLS, HTTP API, Erlang distribution, Erlang's port mapper. */
export interface RabbitPorts {
    readonly amqp: number;
    readonly amqps: number;
    readonly http: number;
    readonly distribution: number;
    readonly epmd: number;
}
/** What a RabbitMQ node is made of: its folder, filled, and the environment to start the server in. */
export interface RabbitNode {
    readonly folder: string;
    readonly ports: RabbitPorts;
    readonly certificates: Certificates;
    readonly env: Readonly<Record<string, string>>;
}
/** Writes the configuration, cookie and plugin list of a new node into `folder`. */
export declare function writeRabbitNode(node: Omit<RabbitNode, 'env'> & {
    readonly conf: readonly string[];
    readonly plugins: readonly string[];
    readonly cookie: string | undefined;
}): Promise<RabbitNode>;
/** The HTTP API lists what was collected last: up to 5 s old by default. Its shortest interval is one second. */
export declare const FRESH_STATISTICS: string[];
/** Lines of rabbitmq.conf for a TLS listener that checks client certificates but asks for none. */
export declare function tlsListener(listener: string, ca: string, { cert, key }: KeyPair): string[];
/** The Erlang name of the node with these ports. */
export declare function nodeName({ amqp }: RabbitPorts): string;
//# sourceMappingURL=rabbit-node.d.ts.map