import { MessagingError, silent, type Transport } from '@posthorn/core';
import type { Context } from 'mocha';
import { type ConnectOptions, connect } from 'posthorn';
import type { ManagementApi } from './management.ts';
import { findRabbit, isSkip, type RabbitBroker, type RabbitTls } from './rabbit-broker.ts';
import { startRabbitProcess } from './rabbit-process.ts';
import { skip } from './skip.ts';

/** The broker of `findRabbit` with its management API; else the test or suite is skipped. */
export async function needRabbit(context: Context): Promise<RabbitBroker & { readonly api: ManagementApi }> {
  const broker = await findRabbit();
  if (isSkip(broker)) return skip(context, 'RabbitMQ', broker.skip);
  const { api } = broker;
  if (api === undefined) return skip(context, 'RabbitMQ management API', 'POSTHORN_RABBIT_API is not set');
  return Object.assign(broker, { api });
}

/** A broker that the tests of this process may stop, and whose configuration is known. */
export interface OwnRabbit extends RabbitBroker {
  readonly api: ManagementApi;
  readonly tls: RabbitTls;
  restart(): Promise<void>;
  ctl(...args: readonly string[]): Promise<string>;
}

let own: Promise<OwnRabbit | { readonly skip: string }> | undefined;

/** One for all tests of this process, which offers PLAIN, AMQPLAIN and EXTERNAL; else the test or suite is skipped. */
export async function needOwnRabbit(context: Context): Promise<OwnRabbit> {
  own ??= startOwn();
  const broker = await own;
  return isSkip(broker) ? skip(context, 'a RabbitMQ of our own', broker.skip) : broker;
}

async function startOwn(): Promise<OwnRabbit | { readonly skip: string }> {
  const broker = await startRabbitProcess({
    plugins: ['rabbitmq_auth_mechanism_ssl'],
    conf: [
      ...['PLAIN', 'AMQPLAIN', 'EXTERNAL'].map((name, index) => `auth_mechanisms.${index + 1} = ${name}`),
      'ssl_cert_login_from = common_name',
    ],
  });
  if (isSkip(broker)) return broker;
  if (!isOwn(broker)) return { skip: 'it has no management API, no TLS, no restart or no rabbitmqctl' };
  return broker;
}

function isOwn(broker: RabbitBroker): broker is OwnRabbit {
  const { api, tls, restart, ctl } = broker;
  return api !== undefined && tls !== undefined && restart !== undefined && ctl !== undefined;
}

/** `connect` without a word on standard error. */
export function connectQuietly(url: string, options: ConnectOptions = {}): Promise<Transport> {
  return connect(url, { logger: silent, ...options });
}

/** The error that the promise rejects with; fails when it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<MessagingError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MessagingError) return error;
    throw new Error(`rejected with something that is no MessagingError: ${error}`, { cause: error });
  }
  throw new Error('it did not reject');
}
