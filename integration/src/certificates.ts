import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

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
  /** As `server`, but its time is over. */
  readonly expired: KeyPair;
  /** Signed by the right authority, but for another host. */
  readonly wrongHost: KeyPair;
  /** What a client shows; common name `posthorn-client`. */
  readonly client: KeyPair;
}

/** Makes a fresh set in `folder` (created if missing), with the openssl program. About 0.1 s. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  await mkdir(folder, { recursive: true });
  await Promise.all([makeAuthority(folder, 'ca'), makeAuthority(folder, 'wrong-ca')]);
  const [server, expired, wrongHost, client] = await Promise.all([
    makeLeaf(folder, 'server', 'localhost', 'serverAuth', LOCALHOST),
    makeLeaf(folder, 'expired', 'localhost', 'serverAuth', LOCALHOST, -1),
    makeLeaf(folder, 'wrong-host', 'elsewhere.example', 'serverAuth', 'DNS:elsewhere.example'),
    makeLeaf(folder, 'client', 'posthorn-client', 'clientAuth', 'DNS:posthorn-client'),
  ]);
  return { ca: join(folder, 'ca.pem'), wrongCa: join(folder, 'wrong-ca.pem'), server, expired, wrongHost, client };
}

const LOCALHOST = 'DNS:localhost,IP:127.0.0.1,IP:::1';
const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

async function makeAuthority(folder: string, name: string): Promise<void> {
  const config = [
    ...['[req]', 'distinguished_name = dn', 'x509_extensions = v3', 'prompt = no'],
    ...['[dn]', `CN = Posthorn test ${name}`],
    ...['[v3]', 'basicConstraints = critical, CA:TRUE', 'keyUsage = critical, keyCertSign, cRLSign'],
    'subjectKeyIdentifier = hash',
  ];
  await writeFile(join(folder, `${name}.cnf`), `${config.join('\n')}\n`);
  const files = ['-keyout', `${name}-key.pem`, '-out', `${name}.pem`];
  await run('openssl', ['req', '-x509', ...NEW_KEY, '-days', '3650', '-config', `${name}.cnf`, ...files], {
    cwd: folder,
  });
  await rm(join(folder, `${name}.cnf`));
}

async function makeLeaf(
  folder: string,
  name: string,
  cn: string,
  usage: string,
  altNames: string,
  days = 825,
): Promise<KeyPair> {
  const request = ['req', ...NEW_KEY, '-subj', `/CN=${cn}`, '-keyout', `${name}-key.pem`, '-out', `${name}.csr`];
  await run('openssl', request, { cwd: folder });
  const extensions = [
    ...['basicConstraints = CA:FALSE', 'keyUsage = digitalSignature', `extendedKeyUsage = ${usage}`],
    ...[`subjectAltName = ${altNames}`, 'authorityKeyIdentifier = keyid'],
  ];
  await writeFile(join(folder, `${name}.ext`), `${extensions.join('\n')}\n`);
  // Serial numbers at random: leaves are signed side by side and must not share a serial file.
  const serial = `0x${(crypto.getRandomValues(new Uint32Array(1))[0] ?? 0).toString(16)}${Date.now().toString(16)}`;
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-set_serial', serial, '-extfile', `${name}.ext`];
  await run('openssl', ['x509', '-req', '-in', `${name}.csr`, '-days', `${days}`, ...signing, '-out', `${name}.pem`], {
    cwd: folder,
  });
  await Promise.all([rm(join(folder, `${name}.csr`)), rm(join(folder, `${name}.ext`))]);
  return { cert: join(folder, `${name}.pem`), key: join(folder, `${name}-key.pem`) };
}
