import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Directory, fileDiscovery, LocalDiscovery } from '../src/index.ts';
import { rejection, thrownBy } from './support.ts';

describe('a local discovery', () => {
  const roles = ['RemoteService', 'RemotePublisher', 'LocalPublisher'] as const;
  for (const role of roles)
    it(`T-29: registers, finds and forgets a ${role}`, () => {
      const discovery = new LocalDiscovery();
      const find = (): string => discovery[`${role.charAt(0).toLowerCase()}${role.slice(1)}` as 'remoteService']('a');
      expect(thrownBy(find)).to.include({ name: 'UnableToDiscover', number: 1007 });
      discovery[`register${role}`]('a', 'e');
      expect(find()).to.equal('e');
      discovery[`unregister${role}`]('a');
      expect(thrownBy(find)).to.include({ number: 1007 });
    });

  it('T-29: lists each exchange once', () => {
    const discovery = new LocalDiscovery();
    discovery.registerRemoteService('a', 'e');
    discovery.registerRemoteService('b', 'e');
    discovery.registerRemotePublisher('a', 'n');
    discovery.registerLocalPublisher('c', 'n');
    expect(discovery.exchanges).to.deep.equal(['e', 'n']);
  });
});

const SERVICES: Directory = {
  service1: { exchange: 'service1_exchange', notifications: 'service1_notifications' },
  service2: { exchange: 'service2_exchange', notifications: 'service2_notifications' },
  service3: { exchange: 'service3_exchange', notifications: 'service3_notifications' },
  service4: { exchange: 'service4_exchange' },
};

const FORMS: Readonly<Record<string, string>> = {
  'services.ds': Object.entries(SERVICES)
    .map(
      ([name, entry]) =>
        `[${name}]\n${Object.entries(entry)
          .map(([key, value]) => `${key} = ${value}\n`)
          .join('')}`,
    )
    .join('\n# another\n'),
  'services.yaml': Object.entries(SERVICES)
    .map(
      ([name, entry]) =>
        `${name}:\n${Object.entries(entry)
          .map(([key, value]) => `  ${key}: ${value}\n`)
          .join('')}`,
    )
    .join(''),
  'services.json': JSON.stringify(SERVICES),
};

describe('a discovery in a file', () => {
  let folder: string;
  const file = (name: string, text = FORMS[name] ?? ''): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'posthorn-discovery-'));
  });

  after(() => rm(folder, { recursive: true }));

  for (const name of Object.keys(FORMS)) {
    it(`T-30: ${name} as one of its services sees it`, async () => {
      const discovery = await fileDiscovery(file(name), {
        service: 'service1',
        subscriptions: ['service2', 'service3'],
      });
      for (const other of ['service2', 'service3', 'service4'])
        expect(discovery.remoteService(other)).to.equal(`${other}_exchange`);
      expect(thrownBy(() => discovery.remoteService('service1'))).to.include({ number: 1007 });
      for (const publisher of ['service2', 'service3'])
        expect(discovery.remotePublisher(publisher)).to.equal(`${publisher}_notifications`);
      expect(thrownBy(() => discovery.remotePublisher('service4'))).to.include({ number: 1007 });
      expect(discovery.localPublisher('service1')).to.equal('service1_notifications');
      expect(discovery.exchanges).to.have.members([
        'service1_notifications',
        'service2_exchange',
        'service2_notifications',
        'service3_exchange',
        'service3_notifications',
        'service4_exchange',
      ]);
    });
  }

  it('T-30: a service without notifications is no publisher', async () => {
    const discovery = await fileDiscovery(file('services.ds'), { service: 'service4' });
    expect(thrownBy(() => discovery.localPublisher('service4'))).to.include({ number: 1007 });
  });

  it('T-30: for a client all services are remote', async () => {
    const discovery = await fileDiscovery(file('services.ds'));
    expect(discovery.remoteService('service1')).to.equal('service1_exchange');
  });

  for (const [what, viewpoint, name, number] of [
    [
      'a subscription to a service it lacks',
      { service: 'service1', subscriptions: ['serviceX'] },
      'ServiceIsNotRegister',
      1026,
    ],
    ['a service it lacks', { service: 'serviceX' }, 'ServiceIsNotRegister', 1026],
    [
      'a subscription to one that does not publish',
      { service: 'service1', subscriptions: ['service4'] },
      'CantRegisterRemotePublisher',
      1030,
    ],
  ] as const)
    it(`T-30: ${what} is a ${name}`, async () => {
      expect(await rejection(fileDiscovery(file('services.ds'), viewpoint))).to.include({ name, number });
    });

  for (const [what, name, text, path] of [
    ['without an exchange', 'a.ds', '[hello]\nnotifications=n\n', /a\.ds\.hello\.exchange: /],
    ['with an unknown entry', 'b.yaml', 'hello: { exchange: e, queue: q }', /b\.yaml\.hello\.queue: no such option/],
    ['with an entry outside of sections', 'c.ds', 'exchange=e\n', /c\.ds:1: /],
    ['with a service twice', 'd.ds', '[a]\nexchange=e\n[a]\nexchange=f\n', /d\.ds\.a: is there twice/],
    ['that is not YAML', 'e.yaml', '{', /e\.yaml: /],
  ] as const)
    it(`T-30: a file ${what} is refused with the place`, async () => {
      const error = await rejection(fileDiscovery(file(name, text)));
      expect(error).to.include({ code: 'CONFIG' });
      expect(error.message).to.match(path);
    });

  it('a file that is not there is refused with its name', async () => {
    expect((await rejection(fileDiscovery(join(folder, 'none.ds')))).message).to.match(/none\.ds: ENOENT/);
  });
});
