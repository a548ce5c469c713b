import { newId } from '@posthorn/core';
import { type RabbitAddress, type RabbitBroker, rabbitUrl } from './rabbit.ts';

/** A part of a broker that nobody else uses. */
export interface Vhost extends RabbitAddress, AsyncDisposable {
  readonly broker: RabbitBroker;
  readonly url: string;
}

/**
 * A fresh vhost, deleted in the end with all that is left in it. On a broker without a management API it is the
 * broker's own vhost: use unique names in any case.
 */
export async function openVhost(broker: RabbitBroker): Promise<Vhost> {
  const { host, port, user, password, api } = broker;
  const vhost = api === undefined ? broker.vhost : `test-${newId()}`;
  await api?.putVhost(vhost);
  await api?.putPermissions(vhost, user);
  const address: RabbitAddress = { host, port, user, password, vhost };
  return {
    ...address,
    broker,
    url: rabbitUrl(address),
    [Symbol.asyncDispose]: async () => {
      await api?.deleteVhost(vhost);
    },
  };
}
