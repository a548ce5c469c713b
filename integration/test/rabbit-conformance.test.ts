import { describeDriver } from '@posthorn/conformance';
import type { RabbitOptions } from '@posthorn/rabbit';
import { rabbitVersions } from '../src/rabbit-broker.ts';
import { rabbitHarness } from '../src/rabbit-harness.ts';

const WAYS: readonly RabbitOptions[] = [{}, { connections: 'split' }, { durability: 'quorum' }];

for (const candidate of rabbitVersions()) {
  for (const options of WAYS) {
    describe(`R-13: the conformance of ${candidate.name} ${JSON.stringify(options)}`, () => {
      describeDriver('the RabbitMQ driver', rabbitHarness(candidate, options));
    });
  }
}
