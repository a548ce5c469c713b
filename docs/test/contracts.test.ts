import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runProgram } from '../../integration/src/echo-example.ts';
import { places } from '../../integration/src/places.ts';

const examples = fileURLToPath(new URL('../examples', import.meta.url));

async function run(name: string, url: string): Promise<readonly string[]> {
  const { process, lines } = await runProgram([join(examples, name)], [url]);
  try {
    expect(await process.wait(), process.tail.join('\n')).to.equal('code 0');
    return lines;
  } finally {
    await process.stop();
  }
}

for (const { name, open } of places())
  describe(`the examples of contracts over ${name}`, function () {
    this.timeout(180_000);

    it('contract-greeter: a service and its client', async function () {
      await using place = await open(this);
      expect(await run('contract-greeter.ts', place.url)).to.deep.equal([
        'Good day, Ada.',
        'MALFORMED greet.params.name: Invalid input: expected string, received number',
      ]);
    });

    it('contract-service: a stream, a declared error, a notification and a message, by contract-images', async function () {
      await using place = await open(this);
      expect(await run('contract-service.ts', place.url)).to.have.members([
        '50 %',
        'images.host1 made cat-64 in 12 ms',
        'cat-64 is a webp',
        'there is no dog',
        'cat-32 was published',
      ]);
    });
  });
