import { NackableError, type ServiceFailure, type ServiceRequest } from '@posthorn/services';
import { expect } from 'chai';
import { deferred } from '../deferred.ts';
import type { TransportUnderTest } from '../transports.ts';
import { waitFor } from '../wait-for.ts';
import { EXCHANGE, RETENTION, remote, ServicesLab } from './services-lab.ts';

/** When a message is settled, and what becomes of it when its handler fails or its server dies. */
export function describeServiceFailures(transport: TransportUnderTest): void {
  it('T-43: a message whose server is lost while it is handled is handled by another', async () => {
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    const begun = deferred();
    const handled = deferred<unknown>();
    const doomed = await lab.lab.connect();
    const hanging = (): Promise<void> => {
      begun.resolve();
      return new Promise(() => {});
    };
    await lab.serve([{ service: world, requests: { world: hanging } }], { on: doomed });
    await remote(await lab.client('script'), world, 'world', { n: 1 }).cast();
    await begun.promise;
    await lab.serve([
      { service: world, requests: { world: ({ payload }: ServiceRequest) => handled.resolve(payload['n']) } },
    ]);
    await doomed.close({ signal: AbortSignal.abort() });
    expect(await handled.promise).to.equal(1);
  });

  it('T-43: a message whose handler throws is settled, and does not come again', async () => {
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    const seen: unknown[] = [];
    const [one, two] = [await lab.lab.connect(), await lab.lab.connect()];
    const throwing = ({ payload }: ServiceRequest): void => {
      seen.push(payload['n']);
      throw new Error('no');
    };
    await lab.serve([{ service: world, requests: { world: throwing } }], { on: one });
    const client = await lab.client('script');
    for (let n = 0; n < 3; n++) await remote(client, world, 'world', { n }).cast();
    await waitFor('all', () => seen.length === 3);
    await one.close();
    await lab.serve([{ service: world, requests: { world: throwing } }], { on: two });
    await remote(client, world, 'world', { n: 'fence' }).cast();
    await waitFor('the fence', () => seen.includes('fence'));
    expect(seen).to.deep.equal([0, 1, 2, 'fence']);
  });

  it('T-43: a NackableError has the message come again, later, until it is handled', async () => {
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    let attempts = 0;
    const handled = deferred<number>();
    const moody = (): void => {
      if (++attempts < 3) throw new NackableError('not now');
      handled.resolve(attempts);
    };
    await lab.serve([{ service: world, requests: { world: moody } }], {
      retry: { minDelayMs: 20, deadLetter: `${world}.dead` },
    });
    await remote(await lab.client('script'), world, 'world').cast();
    expect(await handled.promise).to.equal(3);
  });

  it('T-43: but not for ever: after its limit it is a dead letter, and the caller gets the error', async () => {
    await using lab = new ServicesLab(transport);
    const [caller, world] = [lab.service('caller'), lab.service('world')];
    let attempts = 0;
    const unwilling = (): void => {
      attempts++;
      throw new NackableError('never');
    };
    const failed = deferred<ServiceFailure>();
    const dead = deferred<string>();
    const group = { kind: 'group', name: `${world}.dead` } as const;
    await (await lab.lab.serving()).subscribe(
      [group],
      (delivery) => {
        dead.resolve(`${delivery.message.headers?.['destination']}`);
        void delivery.settle('accept');
      },
      { retention: { ...RETENTION, maxLength: 10_000 } },
    );
    await lab.serve([
      { service: caller, errors: { [`${world}.world`]: (error: ServiceFailure) => failed.resolve(error) } },
    ]);
    await lab.serve([{ service: world, requests: { world: unwilling } }], {
      retry: { limit: 3, minDelayMs: 20, deadLetter: group.name },
    });
    await remote(await lab.client(caller), world, 'world').call();
    expect((await failed.promise).payload).to.deep.equal({ class: 'Nackable', message: 'never', code: 1050 });
    expect([attempts, await dead.promise]).to.deep.equal([3, `${world}.world`]);
  });

  it('T-09: a message without its headers is buried, and the service goes on', async () => {
    await using lab = new ServicesLab(transport);
    const world = lab.service('world');
    const handled = deferred();
    await lab.serve([{ service: world, requests: { world: () => handled.resolve() } }]);
    const stranger = { body: Buffer.from('{}'), headers: { message_type: 'request' } };
    await (await lab.lab.calling()).send({ kind: 'topic', exchange: EXCHANGE, key: `${world}.world` }, stranger, {
      confirm: true,
    });
    await remote(await lab.client('script'), world, 'world').cast();
    await handled.promise;
    await waitFor('the log', () => lab.lab.logged('error').length > 0);
    expect(lab.lab.logged('error').map(({ message }) => message)).to.deep.equal([
      'dead-lettered: MALFORMED: a message without the header destination',
    ]);
  });

  it('T-51: a server that is closed has answered for what it began', async () => {
    await using lab = new ServicesLab(transport);
    const [caller, world] = [lab.service('caller'), lab.service('world')];
    const begun = deferred();
    const gate = deferred();
    const answered = deferred<unknown>();
    await lab.serve([{ service: caller, responses: { [`${world}.world`]: () => answered.resolve('answered') } }]);
    const on = await lab.lab.connect();
    const server = await lab.serve(
      [
        {
          service: world,
          requests: {
            async world() {
              begun.resolve();
              await gate.promise;
              return {};
            },
          },
        },
      ],
      { on },
    );
    await remote(await lab.client(caller), world, 'world').call();
    await begun.promise;
    const closing = server.close();
    gate.resolve();
    expect(await closing).to.deep.equal({ abandoned: [] });
    expect(await answered.promise).to.equal('answered');
  });
}
