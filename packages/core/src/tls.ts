import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { ConfigError, messageOf } from './errors.ts';
import type { Logger } from './logger.ts';
import { type Host, hostText } from './url.ts';

/** How TLS is asked for: certificates and keys are paths, or PEM texts. */
export interface TlsSettings {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly servername?: string | undefined;
  readonly insecure: boolean;
}

/**
 * The options of `tls.connect` for a host.
 *
 * @throws {ConfigError} a file cannot be read
 */
export async function tlsOptions(host: Host, settings: TlsSettings, logger: Logger): Promise<Record<string, unknown>> {
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
