import type { Certificates, KeyPair } from './certificates.ts';
import type { ManagementApi } from './management.ts';
/** Where a broker speaks TLS and what to show it; all but the port are paths of PEM files. */
export interface RabbitTls {
    readonly port: number;
    readonly ca: string;
    /** A client certificate that the broker accepts but does not ask for, and its key. */
    readonly cert: string;
    readonly key: string;
    /** An authority that did not sign the broker's certificate. */
    readonly wrongCa: string;
    /** A server's pair for another host, signed by `ca`: put it before the broker with `openTlsFront`. */
    readonly wrongHost: KeyPair;
}
/** The parts of a broker's URL. */
export interface RabbitAddress {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly vhost: string;
}
/** A RabbitMQ to test against. What is optional is missing on brokers that are not ours. */
export interface RabbitBroker extends RabbitAddress {
    /** `3.10.8` */
    readonly version: string;
    /** `rabbit://user:password@host:port/vhost`, the vhost percent-encoded. */
    readonly url: string;
    readonly tls?: RabbitTls;
    readonly api?: ManagementApi;
    /** Clean stop and start with the same ports and data. Resolves when it accepts connections again. */
    restart?(): Promise<void>;
    /** SIGKILL, as in a crash; resolves when it is down. Come back with `start`. */
    kill9?(): Promise<void>;
    /** Starts it again after `stop` or `kill9`, with the same ports and data. */
    start?(): Promise<void>;
    /** What `rabbitmqctl` prints with these arguments. */
    ctl?(...args: readonly string[]): Promise<string>;
    /** Clean stop; the data stay until this process ends. Does nothing to a broker that is not ours. */
    stop(): Promise<void>;
}
/** A broker's URL, with some parts replaced: `rabbitUrl(broker, { port: proxy.port })`. */
export declare function rabbitUrl(address: RabbitAddress, parts?: Partial<RabbitAddress>): string;
/** What a client is told about the TLS listener of a broker with these certificates. */
export declare function rabbitTls(port: number, { ca, wrongCa, client, wrongHost }: Certificates): RabbitTls;
//# sourceMappingURL=rabbit.d.ts.map