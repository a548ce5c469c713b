/**
 * The version of the broker that listens there, read from its `connection.start`; needs no credentials.
 * Rejects when nobody answers in AMQP 0-9-1: the proof that a broker is up.
 */
export declare function probeRabbit(host: string, port: number, timeoutMs?: number): Promise<string>;
//# sourceMappingURL=rabbit-probe.d.ts.map