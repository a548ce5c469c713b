import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { type Host, hostText, messageOf, silent, type TransportUrl, tlsOptions } from '@posthorn/core';
import { examined, type Finding } from './finding.ts';

const LIMIT_MS = 5_000;
const DAY_MS = 86_400_000;
/** A certificate that ends sooner is worth a word. */
const SOON_DAYS = 30;

/** Whether each host of the URL can be reached, and what it shows to TLS. */
export async function examineNetwork(url: TransportUrl): Promise<readonly Finding[]> {
  const secure = url.scheme.endsWith('s');
  const hosts = url.hosts.length > 0 ? url.hosts : [{ host: 'localhost', port: undefined }];
  const found = await Promise.all(
    hosts.map(async ({ host, port = secure ? 5_671 : 5_672 }) => {
      const at = { host, port, username: undefined, password: undefined };
      const reached = await reach(at);
      return secure && reached.verdict === 'good' ? [reached, await examineTls(at, url)] : [reached];
    }),
  );
  return found.flat();
}

async function reach(host: Host & { readonly port: number }): Promise<Finding> {
  const step = `reach ${hostText(host)}`;
  return await examined(
    step,
    LIMIT_MS,
    async () => {
      const addresses = isIP(host.host) === 0 ? (await lookup(host.host, { all: true })).map((one) => one.address) : [];
      const began = performance.now();
      await opened(host);
      const tookMs = Number((performance.now() - began).toFixed(1));
      const names = addresses.length === 0 ? '' : `${addresses.join(', ')}; `;
      return { step, verdict: 'good', text: `${names}connected in ${tookMs} ms`, figures: { tookMs } };
    },
    (error) => ({ verdict: 'wrong', text: textOf(error), advice: networkAdvice(codeOf(error)) }),
  );
}

function opened({ host, port }: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: LIMIT_MS - 500 });
    const end = (error?: Error): void => {
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    };
    socket.once('connect', () => end());
    socket.once('error', end);
    socket.once('timeout', () => end(new Error('no answer')));
  });
}

async function examineTls(host: Host & { readonly port: number }, { query }: TransportUrl): Promise<Finding> {
  const step = `TLS ${hostText(host)}`;
  return await examined(
    step,
    LIMIT_MS,
    async () => {
      const { ca, cert, key, passphrase, servername } = query;
      const options = await tlsOptions(host, { ca, cert, key, passphrase, servername, insecure: false }, silent);
      const socket = await handshake({ ...options, host: host.host, port: host.port });
      try {
        return { step, ...judged(socket, query['insecure'] === 'true') };
      } finally {
        socket.destroy();
      }
    },
    (error) => ({ verdict: 'wrong', text: textOf(error), advice: tlsAdvice(codeOf(error)) }),
  );
}

/** Verifies, and goes on in any case, so that the certificate can be told of. */
function handshake(options: Readonly<Record<string, unknown>>): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...options, rejectUnauthorized: false, timeout: LIMIT_MS - 500 }, () =>
      resolve(socket),
    );
    socket.once('error', reject);
    socket.once('timeout', () => socket.destroy(new Error('no answer to the TLS handshake')));
  });
}

function judged(socket: TLSSocket, isInsecure: boolean): Omit<Finding, 'step'> {
  const { subject, issuer, valid_to: until } = socket.getPeerCertificate();
  const daysLeft = Math.floor((Date.parse(until) - Date.now()) / DAY_MS);
  const names = `${nameOf(subject)}, signed by ${nameOf(issuer)}`;
  const text = `${socket.getProtocol()}, certificate of ${names}, until ${day(until)}`;
  const figures = { daysLeft };
  // A code where Node knows one, though its types say an error.
  const problem = socket.authorizationError as Error | string | undefined | null;
  if (problem) {
    const code = typeof problem === 'string' ? problem : codeOf(problem);
    const verdict = isInsecure ? 'careful' : 'wrong';
    return { verdict, text: `${code}: ${text}`, advice: tlsAdvice(code), figures };
  }
  if (isInsecure)
    return {
      verdict: 'careful',
      text,
      advice: 'insecure=true verifies nothing, and need not be: take it out',
      figures,
    };
  if (daysLeft < SOON_DAYS)
    return { verdict: 'careful', text, advice: `renew the certificate: ${daysLeft} days are left`, figures };
  return { verdict: 'good', text, figures };
}

function nameOf(holder: Readonly<Record<string, string | string[] | undefined>> | undefined): string {
  return [holder?.['CN'] ?? holder?.['O'] ?? 'nobody by name'].flat().join(', ');
}

function day(date: string): string {
  const at = new Date(date);
  return Number.isNaN(at.getTime()) ? date : at.toISOString().slice(0, 10);
}

function networkAdvice(code: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'no such name: check the host in the URL, and the DNS of this machine';
    case 'ECONNREFUSED':
      return 'nobody listens there: is the broker up, and the port right (5672, with TLS 5671)?';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'no way there from this network: check routes and VPN';
    default:
      return 'packets get lost on the way: check firewalls and security groups';
  }
}

function tlsAdvice(code: string): string {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return "renew the broker's certificate; and is the clock of this machine right?";
    case 'CERT_NOT_YET_VALID':
      return 'is the clock of this machine right?';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'the certificate is for another name: use that one in the URL, or ?servername=<name in the certificate>';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return 'the peer does not speak TLS there: is this the port of rabbit:// or amqp1://?';
    case 'CONFIG':
      return 'check the path of the file';
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'signed by nobody whom this machine knows: give the right authority by ?ca=/path/to/ca.pem';
    default:
      return 'check the TLS listener of the broker, and ca, cert and key in the URL';
  }
}

/** Node reports one error for each address of a name, and none of them in the text. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  // Those of OpenSSL are full of its file names.
  if (error instanceof Error && 'reason' in error) return `TLS failed: ${error.reason}`;
  return messageOf(error);
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
