import { createServer } from 'node:net';
import { serveBroker } from '@posthorn/amqp1';
import { newId } from '@posthorn/core';
import { expect } from 'chai';
import { amqp1Url } from '../src/amqp1-harness.ts';
import { type Certificates, makeCertificates } from '../src/certificates.ts';
import { freePorts, listenOnFreePort } from '../src/free-port.ts';
import type { ManagementApi } from '../src/management.ts';
import { raiseMemoryAlarm } from '../src/memory-alarm.ts';
import { type Ended, posthorn, records, startPosthorn } from '../src/posthorn-command.ts';
import { isSkip, type RabbitBroker, rabbitUrl, rabbitVersions } from '../src/rabbit-broker.ts';
import { needOwnRabbit, needRabbit } from '../src/rabbit-lab.ts';
import { skip } from '../src/skip.ts';
import { makeTempFolder } from '../src/temp-folder.ts';
import { openTlsFront, type TlsFront } from '../src/tls-front.ts';
import { waitFor } from '../src/wait-for.ts';

type Finding = Readonly<Record<string, unknown>>;

const doctor = (url: string, ...more: readonly string[]): Promise<Ended> =>
  posthorn(['doctor', url, '--json', '--count', '20', ...more]);

function finding(ended: Ended, step: string): Finding {
  const found = records(ended).find((one) => String(one['step']).startsWith(step));
  if (found === undefined) throw new Error(`no step ${step}:\n${ended.text}`);
  return found;
}

/** Expects that all is well but for these steps. */
function expectWrong(ended: Ended, ...steps: readonly string[]): void {
  const wrong = records(ended).filter(({ verdict }) => verdict === 'wrong');
  expect(
    wrong.map(({ step }) => String(step).split(' ')[0]),
    ended.text,
  ).to.deep.equal(steps);
  for (const { advice } of wrong) expect(advice).to.be.a('string').that.is.not.empty;
  expect(ended.end, ended.text).to.equal(steps.length === 0 ? 'code 0' : 'code 1');
}

function apiOf({
  api,
  user,
  password,
}: Pick<RabbitBroker, 'user' | 'password'> & { readonly api: ManagementApi }): string {
  return Object.assign(new URL(api.url), { username: user, password }).href;
}

/** What this run of a doctor left on a broker. */
async function leftovers(api: ManagementApi, text: string): Promise<readonly string[]> {
  const name = /posthorn-doctor-[0-9a-f]+/.exec(text)?.[0] ?? 'no name was told';
  const all = [...(await api.queues()), ...(await api.exchanges())];
  return all.map((one) => one.name).filter((one) => one.includes(name));
}

describe('posthorn doctor', function () {
  this.timeout(60_000);

  for (const { name, find } of rabbitVersions())
    describe(`over ${name}`, () => {
      let broker: RabbitBroker;

      before(async function () {
        this.timeout(180_000);
        const found = await find();
        if (isSkip(found)) return skip(this, name, found.skip);
        broker = found;
      });

      it('finds nothing wrong, measures a round trip, and leaves nothing behind', async () => {
        const ended = await doctor(broker.url);
        expectWrong(ended);
        expect(finding(ended, 'broker')['text']).to.equal(`RabbitMQ ${broker.version}`);
        expect(finding(ended, 'limits')).to.deep.include({ heartbeatMs: 30_000, frameMax: 131_072 });
        for (const step of ['configure', 'write', 'read']) expect(finding(ended, step)['verdict']).to.equal('good');
        const { count, p50Ms, p99Ms } = finding(ended, 'round trip');
        expect(count).to.equal(20);
        expect(p50Ms).to.be.a('number').that.is.greaterThan(0);
        expect(p99Ms).to.be.at.least(Number(p50Ms));
        if (broker.api !== undefined) expect(await leftovers(broker.api, ended.text)).to.deep.equal([]);
      });

      it('knows what its version is known for', async () => {
        const versions = records(await doctor(broker.url)).filter(({ step }) => step === 'version');
        const text = versions.map(({ text: one }) => one).join('\n');
        const [major = 0, minor = 0] = broker.version.split('.').map(Number);
        if (major < 4) expect(text).to.equal('');
        else expect(text).to.include('given back 20 times');
        if (major > 4 || (major === 4 && minor >= 3)) expect(text).to.include('neither durable nor exclusive');
      });

      it('examines AMQP 1.0, and says what is missing where it is a plugin', async () => {
        const ended = await doctor(amqp1Url(broker));
        expectWrong(ended);
        if (broker.version.startsWith('3.')) {
          expect(finding(ended, 'version')['advice']).to.include('rabbit://');
          expect(finding(ended, 'features')['text']).to.include('replies, and so calls');
          expect(finding(ended, 'round trip')['verdict']).to.equal('skipped');
          expect(finding(ended, 'clean up')['text']).to.include('left behind');
          for (const queue of broker.api === undefined ? [] : await leftovers(broker.api, ended.text))
            await broker.api?.deleteQueue(queue);
        } else {
          expect(finding(ended, 'round trip')['verdict']).to.equal('good');
          if (broker.api !== undefined) expect(await leftovers(broker.api, ended.text)).to.deep.equal([]);
        }
      });

      it('tells a wrong password from a missing vhost', async () => {
        expectWrong(await doctor(rabbitUrl(broker, { password: 'not this one' })), 'login');
        const missing = await doctor(rabbitUrl(broker, { vhost: newId() }));
        expectWrong(missing, 'vhost');
        expect(finding(missing, 'login')['verdict']).to.equal('good');
        expect(missing.text).to.not.include(broker.password === 'guest' ? 'guest:guest' : broker.password);
      });
    });

  it('cleans up after an interruption', async function () {
    this.timeout(180_000);
    const broker = await needRabbit(this);
    const { process } = await startPosthorn(['doctor', broker.url, '--count', '10000']);
    try {
      await waitFor('the round trip', () => process.tail.some((line) => line.startsWith('✓ read')), 30_000);
      process.signal('SIGINT');
      expect(await process.wait(), process.tail.join('\n')).to.equal('code 130');
      expect(await leftovers(broker.api, process.tail.join('\n'))).to.deep.equal([]);
    } finally {
      await process.stop();
    }
  });

  describe('about permissions', () => {
    let broker: RabbitBroker & { readonly api: ManagementApi };
    const user = `doctor-${newId()}`;
    const urlOf = (): string => rabbitUrl(broker, { user, password: 'secret' });

    before(async function () {
      this.timeout(180_000);
      broker = await needRabbit(this);
      await broker.api.putUser(user, 'secret');
    });

    after(() => broker?.api.deleteUser(user));

    for (const [step, permissions, advice] of [
      ['configure', { configure: '^$' }, 'posthorn topology apply'],
      ['bind', { read: '^$' }, 'binding needs'],
      ['write', { write: '.*queue$' }, 'permission to write'],
      ['read', { read: '^(?!.*queue$).*' }, 'permission to read'],
    ] as const)
      it(`tells that a user may not ${step}, and leaves nothing behind`, async () => {
        await broker.api.putPermissions(broker.vhost, user, permissions);
        const ended = await doctor(urlOf());
        expectWrong(ended, step);
        expect(finding(ended, step)['advice']).to.include(advice);
        expect(await leftovers(broker.api, ended.text)).to.deep.equal([]);
      });

    it('declares nothing where the URL says so', async () => {
      await broker.api.putPermissions(broker.vhost, user, { configure: '^$' });
      const ended = await doctor(`${urlOf()}?declare=none`);
      expectWrong(ended);
      expect(finding(ended, 'permissions')['verdict']).to.equal('skipped');
    });

    it('asks the management API for alarms', async () => {
      expect(finding(await doctor(broker.url, '--api', apiOf(broker)), 'alarms')['verdict']).to.equal('good');
    });
  });

  describe('about the way to the broker', () => {
    let broker: RabbitBroker;
    let certificates: Certificates;
    let front: TlsFront | undefined;

    before(async function () {
      this.timeout(180_000);
      broker = await needRabbit(this);
      certificates = await makeCertificates(makeTempFolder('doctor'));
    });

    afterEach(async () => {
      await front?.close();
      front = undefined;
    });

    const secure = async (
      pair: 'server' | 'expired' | 'wrongHost',
      options: Readonly<Record<string, string>>,
    ): Promise<string> => {
      front = await openTlsFront(broker, certificates[pair]);
      const url = rabbitUrl(broker, { host: 'localhost', port: front.port }).replace('rabbit:', 'rabbits:');
      return `${url}?${new URLSearchParams(options)}`;
    };

    it('tells until when a good certificate is good', async () => {
      const ended = await doctor(await secure('server', { ca: certificates.ca }));
      expectWrong(ended);
      expect(finding(ended, 'TLS')['daysLeft']).to.be.within(820, 826);
    });

    for (const [what, pair, ca, says] of [
      ['a certificate of an unknown authority', 'server', 'wrongCa', 'ca='],
      ['a certificate whose time is over', 'expired', 'ca', 'renew'],
      ['a certificate for another host', 'wrongHost', 'ca', 'servername='],
    ] as const)
      it(`tells of ${what}, and what to do`, async () => {
        const ended = await doctor(await secure(pair, { ca: certificates[ca] }));
        expectWrong(ended, 'TLS');
        expect(finding(ended, 'TLS')['advice']).to.include(says);
      });

    it('tells that a port does not speak TLS', async () => {
      const ended = await doctor(rabbitUrl(broker).replace('rabbit:', 'rabbits:'));
      expectWrong(ended, 'TLS');
      expect(finding(ended, 'TLS')['advice']).to.include('rabbit://');
    });

    it('tells that nobody listens, and of each host', async () => {
      const [dead] = await freePorts(1);
      const ended = await doctor(`rabbit://127.0.0.1:${dead}`);
      expectWrong(ended, 'reach');
      const both = await doctor(rabbitUrl(broker).replace(/(:\d+)\//, `$1,127.0.0.1:${dead}/`));
      expectWrong(both, 'reach');
      expect(finding(both, 'round trip')['verdict']).to.equal('good');
    });

    it('tells that a name does not exist', async () => {
      const ended = await doctor('rabbit://no-such-host.invalid');
      expectWrong(ended, 'reach');
      expect(finding(ended, 'reach')['advice']).to.include('name');
    });

    it('ends in good time where the broker says nothing', async () => {
      const silent = createServer();
      const port = await listenOnFreePort(silent);
      try {
        expectWrong(await doctor(`rabbit://127.0.0.1:${port}?connectTimeoutMs=500`), 'login');
        expectWrong(await doctor(`amqp1://127.0.0.1:${port}?connectTimeoutMs=500`), 'login');
      } finally {
        silent.close();
      }
    });
  });

  it('tells that the broker takes no messages, and why', async function () {
    this.timeout(120_000);
    const broker = await needOwnRabbit(this);
    await using _ = await raiseMemoryAlarm(broker);
    const ended = await doctor(broker.url, '--api', apiOf(broker));
    expectWrong(ended, 'alarms', 'write');
    expect(finding(ended, 'alarms')['text']).to.include('out of memory');
    expect(finding(ended, 'write')['advice']).to.include('vm_memory_high_watermark');
  });

  it('examines posthorn broker and memory', async () => {
    const broker = await serveBroker({ port: 0 });
    try {
      for (const url of [broker.url, 'memory://']) {
        const ended = await doctor(url);
        expectWrong(ended);
        expect(finding(ended, 'round trip')['verdict']).to.equal('good');
      }
    } finally {
      await broker.close();
    }
  });

  it('prints signs and advice for people, in colours only where they are forced', async () => {
    const [port] = await freePorts(1);
    const dead = `rabbit://127.0.0.1:${port}`;
    const plain = await posthorn(['doctor', dead]);
    expect(plain.lines[0]).to.match(/^✗ reach 127/);
    expect(plain.lines[1]).to.match(/^ +→ nobody listens there/);
    expect((await posthorn(['doctor', dead], { FORCE_COLOR: '1' })).lines[0]).to.include('\u001b[31m✗');
    expect((await posthorn(['doctor', 'no url'])).end).to.equal('code 1');
  });
});
