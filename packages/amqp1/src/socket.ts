import { readFile } from 'node:fs/promises';
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ConfigError, type Host, hostText, type Logger, messageOf } from '@posthorn/core';
import type { Amqp1Settings } from './options.ts';
import { webSocketStream } from './rhea.ts';

/** Makes the stream to a host; `connected` is called back once it is there. */
export type OpenSocket = (connected: () => void) => unknown;

/** Reads what TLS needs, and returns how to open the stream: TCP, TLS, or a WebSocket over either. */
export async function socketTo(
  host: Host,
  secure: boolean,
  settings: Amqp1Settings,
  logger: Logger,
): Promise<OpenSocket> {
  const { webSocketPath, webSocket = globalThis.WebSocket } = settings;
  const port = host.port ?? (secure ? 5_671 : 5_672);
  if (webSocketPath !== undefined) {
    if (webSocket === undefined)
      throw new ConfigError('webSocket', 'this version of Node has none: pass that of a package');
    const url = `${secure ? 'wss' : 'ws'}://${hostText({ ...host, port })}${webSocketPath}`;
    return (connected) => webSocketStream(webSocket, url, connected);
  }
  const target = { host: host.host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 };
  if (!secure) return (connected) => connectTcp(target, connected);
  const tls = await tlsOptions(host, settings, logger);
  return (connected) => connectTls({ ...target, ...tls }, connected);
}

async function tlsOptions(host: Host, settings: Amqp1Settings, logger: Logger): Promise<Record<string, unknown>> {
  const { ca, cert, key, passphrase, servername, insecure } = settings;
  if (insecure) logger.warn({ host: hostText(host) }, 'insecure: the certificate of the broker is not verified');
  const name = servername ?? (isIP(host.host) === 0 ? host.host : undefined);
  return {
    rejectUnauthorized: !insecure,
    ...(ca !== undefined && { ca: await pem('ca', ca) }),
    ...(cert !== undefined && { cert: await pem('cert', cert) }),
    ...(key !== undefined && { key: await pem('key', key) }),
    ...(passphrase !== undefined && { passphrase }),
    ...(name !== undefined && { servername: name }),
  };
}

async function pem(option: string, value: string): Promise<string> {
  if (value.includes('-----BEGIN')) return value;
  try {
    return await readFile(value, 'utf8');
  } catch (error) {
    throw new ConfigError(option, messageOf(error));
  }
}
