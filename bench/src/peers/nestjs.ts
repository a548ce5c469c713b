/** The process of a NestJS peer on RabbitMQ, as its documentation has it. */
import { obey } from '../peer.ts';
import { rival } from '../rivals/installed.ts';
import { ARGS, METHOD, reboot } from '../work.ts';

type Decorate = (target: object, key?: string, descriptor?: PropertyDescriptor) => void;

interface Microservices {
  readonly ClientProxyFactory: {
    create(options: object): {
      connect(): Promise<unknown>;
      close(): void;
      send(pattern: string, data: unknown): object;
    };
  };
  readonly MessagePattern: (pattern: string) => Decorate;
  readonly Payload: () => (target: object, key: string, index: number) => void;
  readonly Transport: { readonly RMQ: number };
}

interface Core {
  readonly NestFactory: {
    createMicroservice(
      module: object,
      options: object,
    ): Promise<{ listen(): Promise<unknown>; close(): Promise<void> }>;
  };
}

interface Common {
  readonly Controller: () => Decorate;
  readonly Module: (options: object) => Decorate;
}

obey(async ({ role, url, topic, untuned }) => {
  await rival('reflect-metadata');
  const { ClientProxyFactory, MessagePattern, Payload, Transport } =
    await rival<Microservices>('@nestjs/microservices');
  const options = {
    transport: Transport.RMQ,
    options: {
      urls: [url.replace(/^rabbit:/i, 'amqp:')],
      queue: topic,
      queueOptions: { durable: true },
      ...(untuned === 'defaults' ? {} : { socketOptions: { noDelay: true } }),
    },
  };
  if (role === 'server') {
    const { NestFactory } = await rival<Core>('@nestjs/core');
    const { Controller, Module } = await rival<Common>('@nestjs/common');
    class Compute {
      [METHOD](args: typeof ARGS): unknown {
        return reboot(args);
      }
    }
    class Service {}
    Payload()(Compute.prototype, METHOD, 0);
    const descriptor = Object.getOwnPropertyDescriptor(Compute.prototype, METHOD);
    if (descriptor !== undefined) MessagePattern(METHOD)(Compute.prototype, METHOD, descriptor);
    Controller()(Compute);
    Module({ controllers: [Compute] })(Service);
    const app = await NestFactory.createMicroservice(Service, { ...options, logger: false });
    await app.listen();
    return { close: () => app.close() };
  }
  const { firstValueFrom } = await rival<{ firstValueFrom(observable: object): Promise<unknown> }>('rxjs');
  const client = ClientProxyFactory.create(options);
  await client.connect();
  return { operate: () => firstValueFrom(client.send(METHOD, ARGS)), close: async () => client.close() };
});
