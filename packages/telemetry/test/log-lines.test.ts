import { type Logger, memory, newId, Transport } from '@posthorn/core';
import { Publisher, Subscriber } from '@posthorn/messaging';
import { NotificationListener, Notifier } from '@posthorn/notify';
import { RPCClient, RPCServer } from '@posthorn/rpc';
import { expect } from 'chai';
import { propagation } from '../src/index.ts';

const CAME = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', sampled: true };

interface Line {
  readonly text: string;
  readonly messageId: unknown;
  readonly traceId: unknown;
}

/** The lines about messages that failed, as they are written. */
class Lines {
  readonly all: Line[] = [];
  readonly #waiting: { readonly text: RegExp; readonly go: (line: Line) => void }[] = [];
  readonly logger: Logger = { debug() {}, info() {}, warn: this.#at(), error: this.#at() };

  /** Resolves with the first line of that text. */
  next(text: RegExp): Promise<Line> {
    return new Promise((go) => {
      const written = this.all.find((line) => text.test(line.text));
      if (written === undefined) this.#waiting.push({ text, go });
      else go(written);
    });
  }

  #at() {
    return (fields: object, text = ''): void => {
      const { messageId, traceId } = { messageId: undefined, traceId: undefined, ...fields };
      const line = { text, messageId, traceId };
      this.all.push(line);
      for (const waiting of this.#waiting) if (waiting.text.test(text)) waiting.go(line);
    };
  }
}

describe('lines of the log about a message', () => {
  let lines: Lines;
  let transport: Transport;
  let traces: ReturnType<typeof propagation>;
  const fail = (): never => {
    throw new RangeError('no');
  };

  beforeEach(async () => {
    lines = new Lines();
    transport = await Transport.open((driver) => memory(driver), { logger: lines.logger });
    traces = propagation();
  });

  afterEach(async () => {
    traces[Symbol.dispose]();
    await transport.close();
  });

  const expectIds = async (text: RegExp): Promise<void> => {
    const { messageId, traceId } = await lines.next(text);
    expect(messageId).to.match(/^[0-9a-f-]{32,36}$/);
    expect(traceId).to.equal(CAME.traceId);
  };

  it('of a call that failed or makes no sense have its id and that of its trace', async () => {
    const endpoints = [{ fail }];
    await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints }).start();
    const client = new RPCClient(transport, { target: { topic: 't' } });
    for (const method of ['fail', 'missing'])
      await traces.run(CAME, () => client.call({}, method)).catch(() => undefined);
    await expectIds(/^fail failed/);
    await expectIds(/^refused: /);
  });

  it('of a notification that failed, and that is dead, have its id and that of its trace', async () => {
    const options = { targets: [{ topic: 'n' }], pool: newId(), retry: { limit: 1 } };
    await new NotificationListener(transport, { ...options, endpoints: [{ info: fail }] }).start();
    const notifier = new Notifier(transport, { publisherId: 'p', topics: ['n'] });
    await traces.run(CAME, () => notifier.info({}, 'e', {}));
    await expectIds(/^handling e failed/);
    await expectIds(/^dead-lettered: /);
  });

  it('of a message that failed, and that is dead, have its id and that of its trace', async () => {
    const options = { exchange: 'x', group: newId(), retry: { limit: 1 } };
    await new Subscriber(transport, options).bind('m', fail).start();
    const publisher = new Publisher(transport, { exchange: 'x', publisherId: 'p' });
    await traces.run(CAME, () => publisher.publish({ messageType: 'm', version: '1.0', payload: 1 }));
    await expectIds(/^handling m failed/);
    await expectIds(/^dead-lettered: /);
  });

  it('have no trace where there is none', async () => {
    await new RPCServer(transport, { target: { topic: 't', server: 's' }, endpoints: [{ fail }] }).start();
    await new RPCClient(transport, { target: { topic: 't' } }).call({}, 'fail').catch(() => undefined);
    expect((await lines.next(/^fail failed/)).traceId).to.equal(undefined);
  });
});
