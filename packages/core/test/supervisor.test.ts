import { expect } from 'chai';
import sinon from 'sinon';
import {
  AccessError,
  ConnectionError,
  type Host,
  parseTransportUrl,
  type Status,
  type SupervisedLink,
  Supervisor,
  silent,
} from '../src/index.ts';

class FakeLink implements SupervisedLink {
  readonly host: string;
  readonly generation: number;
  down: Error | undefined;
  bytesRead = 0;
  destroyed = false;

  constructor(host: string, generation: number) {
    this.host = host;
    this.generation = generation;
  }

  fail(error: Error): void {
    this.down = error;
  }

  async close(): Promise<void> {}

  destroy(): void {
    this.destroyed = true;
  }
}

const SETTINGS = { hosts: 'given', connectTimeoutMs: 1_000, reconnectMinMs: 100, reconnectMaxMs: 1_000 } as const;
const SILENT_MS = 8_000;

describe('the supervisor of a connection', () => {
  let clock: sinon.SinonFakeTimers;
  let dialled: string[];
  let statuses: Status[];
  let dial: (host: Host) => Promise<void>;

  beforeEach(() => {
    clock = sinon.useFakeTimers();
    dialled = [];
    statuses = [];
    dial = async () => {};
  });

  afterEach(() => clock.restore());

  const supervisor = (settings = {}): Supervisor<FakeLink> =>
    new Supervisor(
      parseTransportUrl('x://a,b'),
      { ...SETTINGS, ...settings },
      { logger: silent, onStatus: (status) => statuses.push(status), onReturned: () => {}, onLost: () => {} },
      {
        protocol: 'X',
        silentAfterMs: SILENT_MS,
        open: async (host, generation, signal) => {
          dialled.push(host.host);
          await Promise.race([
            dial(host),
            new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
          ]);
          return new FakeLink(host.host, generation);
        },
      },
    );

  const connected = async (settings = {}): Promise<[Supervisor<FakeLink>, FakeLink]> => {
    const one = supervisor(settings);
    const link = await one.connect();
    one.begin(link);
    return [one, link];
  };

  it('tries each host once, and names all that failed', async () => {
    dial = async ({ host }) => {
      throw new ConnectionError(`${host} is down`);
    };
    const error = await supervisor()
      .connect()
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('message').that.contains('a is down; b is down');
    expect(dialled).to.deep.equal(['a', 'b']);
  });

  it('does not try further where trying cannot help', async () => {
    dial = async () => {
      throw new AccessError('wrong password');
    };
    const error = await supervisor()
      .connect()
      .catch((thrown: unknown) => thrown);
    expect(error).to.have.property('code', 'ACCESS');
    expect(dialled).to.deep.equal(['a']);
  });

  it('gives up on a host that does not answer in time', async () => {
    dial = ({ host }) => (host === 'a' ? new Promise(() => {}) : Promise.resolve());
    const connecting = supervisor().connect();
    await clock.tickAsync(1_000);
    expect((await connecting).host).to.equal('b');
  });

  it('goes to the next host when a link is lost, with the next generation', async () => {
    const [one, link] = await connected();
    await clock.tickAsync(2_000);
    const waiting = one.ready();
    expect(await waiting).to.equal(link);
    one.lost(link, new ConnectionError('cut'));
    expect(one.link).to.equal(undefined);
    await clock.tickAsync(100);
    expect(await one.ready()).to.deep.include({ host: 'b', generation: 2 });
    expect(statuses.map(({ state }) => state)).to.deep.equal(['connected', 'disconnected', 'connected']);
    await one.close();
  });

  it('waits longer after each link that does not last', async () => {
    const [one] = await connected();
    const attempts: number[] = [];
    for (let flap = 0; flap < 3; flap++) {
      const link = await one.ready();
      one.lost(link, new ConnectionError('cut'));
      const status = statuses.at(-1);
      if (status?.state === 'disconnected') attempts.push(status.attempt);
      await clock.tickAsync(1_000);
    }
    expect(attempts).to.deep.equal([1, 2, 3]);
    await one.close();
  });

  it('takes a link for dead that brings nothing, and cuts it', async () => {
    const [one, link] = await connected();
    await clock.tickAsync(SILENT_MS / 2);
    link.bytesRead = 8;
    await clock.tickAsync(SILENT_MS - SILENT_MS / 8);
    expect(link.down).to.equal(undefined);
    await clock.tickAsync(SILENT_MS / 2);
    expect(link.down).to.have.property('message').that.contains('silent for');
    expect(link.destroyed).to.equal(true);
    await one.close();
  });

  it('rejects who waits for a link when it is closed, and connects no more', async () => {
    const [one, link] = await connected();
    one.lost(link, new ConnectionError('cut'));
    const waiting = one.ready().catch((error: unknown) => error);
    await one.close();
    expect(await waiting).to.have.property('code', 'CLOSED');
    await clock.tickAsync(10_000);
    expect(dialled).to.deep.equal(['a']);
    expect(statuses.at(-1)).to.deep.equal({ state: 'closed' });
  });

  it('lets who waits give up, with his reason', async () => {
    const [one, link] = await connected();
    one.lost(link, new ConnectionError('cut'));
    const given = new AbortController();
    const waiting = one.ready(given.signal).catch((error: unknown) => error);
    given.abort('enough');
    expect(await waiting).to.equal('enough');
    await one.close();
  });

  it('tells that the broker is blocked once, and that it is no longer', async () => {
    const [one, link] = await connected();
    one.setBlocked(link, 'memory');
    one.setBlocked(link, 'memory');
    one.setBlocked(link, undefined);
    one.setBlocked(new FakeLink('old', 0), 'memory');
    expect(statuses.map(({ state }) => state)).to.deep.equal(['connected', 'blocked', 'connected']);
    await one.close();
  });
});
