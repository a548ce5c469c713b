import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { runProgram } from '../../integration/src/echo-example.ts';
import { waitFor } from '../../integration/src/wait-for.ts';

const example = (name: string): string => fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));

describe('the telemetry examples', () => {
  it('Prometheus scrapes what was sent, processed and how long both took, by operation and error', async function () {
    this.timeout(30_000);
    const { lines, process } = await runProgram([example('prometheus')], ['memory://', '0']);
    try {
      const url = await waitFor('the metrics', () => process.ended ?? lines[0], 20_000);
      const text = await (await fetch(url)).text();
      const values = Object.fromEntries(
        [...text.matchAll(/^(\w+)\{(.*)\} (\S+)/gm)].map(([, name, labels = '', value]) => {
          const { messaging_operation_name: operation, error_type: error = '' } = Object.fromEntries(
            [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, is]) => [label, is]),
          );
          return [`${name} ${operation} ${error}`.trim(), Number(value)];
        }),
      );
      expect(values).to.include({
        'messaging_client_sent_messages_total call': 3,
        'messaging_client_sent_messages_total call NO_SUCH_METHOD': 1,
        'messaging_client_consumed_messages_total serve': 3,
        'messaging_client_consumed_messages_total serve NO_SUCH_METHOD': 1,
        'messaging_client_operation_duration_count call': 3,
        'messaging_process_duration_count serve': 3,
      });
      expect(text).to.match(/messaging_process_duration_bucket\{.*le="0\.005"\} [0-3]\n/);
      expect(text).to.match(/messaging_process_duration_bucket\{.*le="\+Inf"\} 3\n/);
      process.signal('SIGTERM');
      expect(await process.wait()).to.equal('code 0');
    } finally {
      await process.stop();
    }
  });

  it('a trace from elsewhere arrives, and is in the lines of the log', async function () {
    this.timeout(30_000);
    const { lines, process } = await runProgram([example('telemetry')], ['memory://']);
    try {
      expect(await process.wait(), process.tail.join('\n')).to.equal('code 0');
      expect(lines).to.deep.equal([
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        '{"traceId":"0af7651916cd43dd8448eb211c80319c"}',
      ]);
    } finally {
      await process.stop();
    }
  });
});
