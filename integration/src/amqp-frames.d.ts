/** One complete AMQP 0-9-1 frame, or the protocol header that opens a connection. */
export interface AmqpFrame {
    readonly kind: 'protocol-header' | 'method' | 'header' | 'body' | 'heartbeat';
    /** `basic.publish` and the like for a method, else the kind. */
    readonly name: string;
    readonly channel: number;
    /** Bytes between frame header and end octet; of a method, class and method id come first. A view: copy to keep. */
    readonly payload: Buffer;
    /** Where the frame begins in the chunk that completed it; negative when an earlier chunk brought its beginning. */
    readonly start: number;
    /** Where the frame ends (exclusive) in that chunk. */
    readonly end: number;
}
/** Cuts one direction of a connection into frames, however the bytes are cut into chunks. */
export declare class AmqpFrameReader {
    #private;
    /** True once the bytes proved to be something else: TLS, AMQP 1.0. Nothing is read from then on. */
    get opaque(): boolean;
    /** Takes the next chunk; returns the frames that it completes. */
    read(chunk: Buffer): AmqpFrame[];
}
//# sourceMappingURL=amqp-frames.d.ts.map