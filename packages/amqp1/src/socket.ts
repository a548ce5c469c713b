import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { ConfigError, type Host, hostText, type Logger, tlsOptions } from '@posthorn/core';
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
