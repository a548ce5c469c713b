import { type Server } from 'node:net';
/** Makes `server` listen on 127.0.0.1 on a port nobody uses, and tells which. */
export declare function listenOnFreePort(server: Server): Promise<number>;
/** Makes `server` listen on 127.0.0.1:`port`; rejects when the port is taken. */
export declare function listen(server: Server, port: number): Promise<void>;
/** `count` different ports that nobody listened on a moment ago, for programs that want to be told theirs. */
export declare function freePorts(count: number): Promise<number[]>;
//# sourceMappingURL=free-port.d.ts.map