/** Paths of a PEM certificate and its private key. */
export interface KeyPair {
    readonly cert: string;
    readonly key: string;
}
/** Everything a TLS test needs; all values are paths of PEM files. */
export interface Certificates {
    /** The authority that signed all of the pairs below. */
    readonly ca: string;
    /** An authority that signed nothing. */
    readonly wrongCa: string;
    /** For localhost, 127.0.0.1 and ::1. */
    readonly server: KeyPair;
    /** Signed by the right authority, but for another host. */
    readonly wrongHost: KeyPair;
    /** What a client shows; common name `posthorn-client`. */
    readonly client: KeyPair;
}
/** Makes a fresh set in `folder` (created if missing), with the openssl program. About 0.1 s. */
export declare function makeCertificates(folder: string): Promise<Certificates>;
//# sourceMappingURL=certificates.d.ts.map