/** GET /api/overview. */
export interface Overview {
    readonly rabbitmq_version: string;
    readonly erlang_version: string;
    readonly node: string;
}
/** GET /api/connections. `name` is "127.0.0.1:41234 -> 127.0.0.1:5672", the key to close it by. */
export interface ConnectionInfo {
    readonly name: string;
    readonly user: string;
    readonly vhost: string;
    readonly state?: string;
    readonly channels?: number;
    readonly protocol?: string;
    readonly client_properties?: {
        readonly connection_name?: string;
        readonly product?: string;
    };
}
/** GET /api/queues/…; the numbers are missing until the broker collected them once. */
export interface QueueInfo {
    readonly name: string;
    readonly vhost: string;
    readonly type?: string;
    readonly durable: boolean;
    readonly auto_delete: boolean;
    readonly exclusive: boolean;
    readonly arguments: Readonly<Record<string, unknown>>;
    readonly messages?: number;
    readonly messages_ready?: number;
    readonly messages_unacknowledged?: number;
    readonly consumers?: number;
}
/** GET /api/exchanges/…; the default exchange has the name ''. */
export interface ExchangeInfo {
    readonly name: string;
    readonly vhost: string;
    readonly type: string;
    readonly durable: boolean;
    readonly auto_delete: boolean;
    readonly internal: boolean;
    readonly arguments: Readonly<Record<string, unknown>>;
}
/** GET /api/bindings/…; a `source` of '' is the default exchange, to which every queue is bound. */
export interface BindingInfo {
    readonly source: string;
    readonly destination: string;
    readonly destination_type: 'queue' | 'exchange';
    readonly routing_key: string;
    readonly arguments: Readonly<Record<string, unknown>>;
}
/** GET /api/consumers/…. */
export interface ConsumerInfo {
    readonly consumer_tag: string;
    readonly ack_required: boolean;
    readonly exclusive: boolean;
    readonly prefetch_count: number;
    readonly arguments: Readonly<Record<string, unknown>>;
    readonly queue: {
        readonly name: string;
        readonly vhost: string;
    };
}
/** Which connections to wait for, and for how long. */
export interface NamedConnections {
    /** How many must be listed before anything happens; 1 by default. */
    readonly atLeast?: number;
    /** 10 s by default. */
    readonly timeoutMs?: number;
}
/** Regular expressions for what a user may configure, write and read in a vhost. */
export interface Permissions {
    readonly configure: string;
    readonly write: string;
    readonly read: string;
}
/**
 * RabbitMQ's HTTP API, as far as tests need it. What it lists is collected at an interval (5 s by default, 1 s on
 * brokers we start), so a fact that just became true may not be listed yet: poll with `waitFor`.
 */
export declare class ManagementApi {
    #private;
    /** Base address without credentials: `http://127.0.0.1:15672/api`. */
    readonly url: string;
    /** @param url `http://user:password@host:port/api` */
    constructor(url: string);
    overview(): Promise<Overview>;
    connections(): Promise<ConnectionInfo[]>;
    queues(vhost?: string): Promise<QueueInfo[]>;
    exchanges(vhost?: string): Promise<ExchangeInfo[]>;
    bindings(vhost?: string): Promise<BindingInfo[]>;
    consumers(vhost?: string): Promise<ConsumerInfo[]>;
    /** The queue, or undefined when there is none of that name. */
    queue(name: string, vhost?: string): Promise<QueueInfo | undefined>;
    /** Deletes the queue with all it holds; also when it is gone already. */
    deleteQueue(name: string, vhost?: string): Promise<void>;
    deleteExchange(name: string, vhost?: string): Promise<void>;
    /** Closes one connection by the broker's name for it; its client is told 320 CONNECTION_FORCED with `reason`. */
    closeConnection(name: string, reason?: string): Promise<void>;
    /**
     * Closes all connections whose client-provided name (`connection_name`) matches, once at least `atLeast` of them are
     * listed; returns how many these were.
     */
    closeConnectionsNamed(match: string | RegExp, { reason, ...which }?: NamedConnections & {
        readonly reason?: string;
    }): Promise<number>;
    /** The connections whose client-provided name matches, once at least `atLeast` of them are listed. */
    connectionsNamed(match: string | RegExp, { atLeast, timeoutMs }?: NamedConnections): Promise<ConnectionInfo[]>;
    putVhost(vhost: string): Promise<void>;
    /** Deletes the vhost with all its queues and closes its connections; also when it is gone already. */
    deleteVhost(vhost: string): Promise<void>;
    /** Makes a user, or changes the password. @param tags e.g. 'administrator'; '' makes an ordinary one */
    putUser(name: string, password: string, tags?: string): Promise<void>;
    deleteUser(name: string): Promise<void>;
    /** What `user` may do in `vhost`; everything, unless told otherwise. */
    putPermissions(vhost: string, user: string, permissions?: Partial<Permissions>): Promise<void>;
}
//# sourceMappingURL=management.d.ts.map