import { serveBroker } from '@posthorn/amqp1';
import { newId } from '@posthorn/core';
import type { Context } from 'mocha';
import { amqp1Url } from './amqp1-harness.ts';
import type { ManagementApi } from './management.ts';
import { findProtonBroker } from './proton-broker.ts';
import {
  findRabbit,
  isSkip,
  type RabbitAddress,
  type RabbitCandidate,
  rabbitUrl,
  rabbitVersions,
} from './rabbit-broker.ts';
import { skip } from './skip.ts';
import { openVhost } from './vhost.ts';

/** A part of a broker that nobody else uses, for whole programs with names of their own. */
export interface Place extends AsyncDisposable {
  readonly url: string;
  /** Where RabbitMQ tells about itself, and by what name it knows this part. */
  readonly management?: { readonly api: ManagementApi; readonly vhost: string };
}

export interface PlaceCandidate {
  readonly name: string;
  /** A fresh place, or the test is skipped where this machine can have none. */
  open(context: Context): Promise<Place>;
}

/** One for each transport that knows topics, which RabbitMQ 3 does not over AMQP 1.0. */
export function places(): readonly PlaceCandidate[] {
  const versions = rabbitVersions();
  return [
    memory,
    broker,
    ...versions.map((candidate) => rabbit(candidate, rabbitUrl)),
    ...versions
      .filter(({ name }) => /\b4\.\d/.test(name))
      .map((candidate) => ({ ...rabbit(candidate, amqp1Url), name: `${candidate.name} by AMQP 1.0` })),
  ];
}

/** Those that know only a part of it, and say so in their features. A RabbitMQ 4 knows all. */
export function partialPlaces(): readonly PlaceCandidate[] {
  const byAmqp1 = { ...rabbit({ name: 'RabbitMQ', find: findRabbit }, amqp1Url), name: 'RabbitMQ by AMQP 1.0' };
  return [byAmqp1, proton];
}

const memory: PlaceCandidate = {
  name: 'memory',
  open: async () => ({ url: `memory://${newId()}`, [Symbol.asyncDispose]: async () => undefined }),
};

const broker: PlaceCandidate = {
  name: 'posthorn broker',
  async open() {
    const served = await serveBroker({ port: 0 });
    return { url: served.url, [Symbol.asyncDispose]: () => served.close() };
  },
};

/** One for all: what is in its queues stays there, so that names must be unique. */
export const proton: PlaceCandidate = {
  name: 'the Proton example broker',
  async open(context) {
    context.timeout(180_000);
    const found = await findProtonBroker();
    if (isSkip(found)) return skip(context, proton.name, found.skip);
    return { url: `amqp1://${found.host}:${found.port}`, [Symbol.asyncDispose]: async () => undefined };
  },
};

function rabbit({ name, find }: RabbitCandidate, urlOf: (address: RabbitAddress) => string): PlaceCandidate {
  return {
    name,
    async open(context) {
      context.timeout(180_000);
      const found = await find();
      if (isSkip(found)) return skip(context, name, found.skip);
      const vhost = await openVhost(found);
      const { api } = found;
      return {
        url: urlOf(vhost),
        ...(api && { management: { api, vhost: vhost.vhost } }),
        [Symbol.asyncDispose]: () => vhost[Symbol.asyncDispose](),
      };
    },
  };
}
