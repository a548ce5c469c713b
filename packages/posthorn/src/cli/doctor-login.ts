import { AccessError, ConfigError, messageOf, type Transport, type TransportUrl } from '@posthorn/core';
import { examined, type Finding } from './finding.ts';

const CONNECT_MS = 15_000;

/** Waits for the connection, and tells what the broker said to user and vhost. */
export async function login(
  url: TransportUrl,
  opening: Promise<Transport>,
): Promise<{ readonly transport: Transport | undefined; readonly findings: readonly Finding[] }> {
  const step = 'login';
  const accepted = `the broker lets ${userOf(url)} in`;
  let transport: Transport | undefined;
  const finding = await examined(
    step,
    CONNECT_MS,
    async () => {
      transport = await opening;
      const place = url.scheme.startsWith('rabbit') ? `${accepted}, vhost ${url.vhost ?? '/'}` : accepted;
      return { step, verdict: 'good', text: place };
    },
    (error) => ({ verdict: 'wrong', text: messageOf(error), ...loginAdvice(error, url) }),
  );
  if (transport !== undefined) return { transport, findings: [finding] };
  // One that comes too late is not to stay.
  opening.then(
    (late) => void late.close(),
    () => undefined,
  );
  const isVhost = /vhost/.test(finding.text);
  return {
    transport,
    findings: isVhost
      ? [
          { step, verdict: 'good', text: accepted },
          { ...finding, step: 'vhost' },
        ]
      : [finding],
  };
}

function loginAdvice(error: unknown, url: TransportUrl): { readonly advice: string } {
  if (error instanceof ConfigError) return { advice: 'correct the URL' };
  if (/vhost/.test(messageOf(error)))
    return { advice: 'rabbitmqctl list_vhosts shows them; rabbitmqctl set_permissions -p <vhost> lets a user in' };
  if (!(error instanceof AccessError)) return { advice: 'is this port for this protocol? see the log of the broker' };
  if (/TLS/.test(error.message)) return { advice: 'check ca, cert and key in the URL' };
  const { username = 'guest', host = 'localhost' } = url.hosts[0] ?? {};
  const isFarGuest = username === 'guest' && !/^(localhost$|127\.|::1$)/.test(host);
  return {
    advice: isFarGuest
      ? 'RabbitMQ lets guest in from its own machine only: make a user, rabbitmqctl add_user'
      : 'check user and password (percent-encoded in a URL): rabbitmqctl authenticate_user <user> <password>',
  };
}

function userOf({ hosts, scheme }: TransportUrl): string {
  const anybody = scheme.startsWith('rabbit') ? 'guest' : 'anybody';
  return hosts[0]?.username ?? anybody;
}
