import { expect } from 'chai';
import fc from 'fast-check';
import { type Host, hostText, parseTransportUrl, shuffled } from '../src/url.ts';
import { thrownBy } from './support.ts';

const host = (name: string, port?: number, username?: string, password?: string): Host => ({
  host: name,
  port,
  username,
  password,
});

interface Row {
  readonly scheme: string;
  readonly hosts: readonly Host[];
  readonly vhost?: string;
  readonly query?: Readonly<Record<string, string>>;
}

const table: Readonly<Record<string, Row>> = {
  'memory://': { scheme: 'memory', hosts: [] },
  'memory://name': { scheme: 'memory', hosts: [host('name')] },
  'RABBIT://h': { scheme: 'rabbit', hosts: [host('h')] },
  'rabbit:///vhost': { scheme: 'rabbit', hosts: [], vhost: 'vhost' },
  'rabbit://h/': { scheme: 'rabbit', hosts: [host('h')] },
  'rabbit://h//': { scheme: 'rabbit', hosts: [host('h')], vhost: '/' },
  'rabbit://h/%2F': { scheme: 'rabbit', hosts: [host('h')], vhost: '/' },
  'rabbit://h/a%2Fb': { scheme: 'rabbit', hosts: [host('h')], vhost: 'a/b' },
  'rabbit://h:5672/v': { scheme: 'rabbit', hosts: [host('h', 5672)], vhost: 'v' },
  'rabbit://u:p@h': { scheme: 'rabbit', hosts: [host('h', undefined, 'u', 'p')] },
  'rabbit://u@h': { scheme: 'rabbit', hosts: [host('h', undefined, 'u', '')] },
  'rabbit://u:@h': { scheme: 'rabbit', hosts: [host('h', undefined, 'u', '')] },
  'rabbit://u:a:b@h': { scheme: 'rabbit', hosts: [host('h', undefined, 'u', 'a:b')] },
  'rabbit://u%40x:p%2F%3A%2C@h': { scheme: 'rabbit', hosts: [host('h', undefined, 'u@x', 'p/:,')] },
  'rabbit://u:p@a:1,b:2': { scheme: 'rabbit', hosts: [host('a', 1, 'u', 'p'), host('b', 2, 'u', 'p')] },
  'rabbit://a,u:p@b,v:q@c': {
    scheme: 'rabbit',
    hosts: [host('a', undefined, 'u', 'p'), host('b', undefined, 'u', 'p'), host('c', undefined, 'v', 'q')],
  },
  'rabbit://[::1]': { scheme: 'rabbit', hosts: [host('::1')] },
  'rabbit://u:p@[2001:db8::1]:5671,h:2/v': {
    scheme: 'rabbit',
    hosts: [host('2001:db8::1', 5671, 'u', 'p'), host('h', 2, 'u', 'p')],
    vhost: 'v',
  },
  'rabbit://h?a=1&b=x%26y&c': { scheme: 'rabbit', hosts: [host('h')], query: { a: '1', b: 'x&y', c: '' } },
  'rabbit://h/v?ca=/etc/ca.pem': { scheme: 'rabbit', hosts: [host('h')], vhost: 'v', query: { ca: '/etc/ca.pem' } },
};

/** Each with the path that the error names. The word "hidden" stands where passwords do. */
const malformed: Readonly<Record<string, string>> = {
  '': 'url',
  'no scheme': 'url',
  'rabbit:/h': 'url',
  '://u:hidden@h': 'url',
  'rabbit://u:hidden@': 'url.hosts.0',
  'rabbit://u:hidden@a,,b': 'url.hosts.1',
  'rabbit://u:hidden@h:': 'url.hosts.0.port',
  'rabbit://u:hidden@h:0': 'url.hosts.0.port',
  'rabbit://u:hidden@h:65536': 'url.hosts.0.port',
  'rabbit://u:hidden@h:12x': 'url.hosts.0.port',
  'rabbit://u:hidden@::1': 'url.hosts.0',
  'rabbit://u:hidden@[::1': 'url.hosts.0',
  'rabbit://u:hid,den@h': 'url.hosts.0.port',
  'rabbit://u:hidden%zz@h': 'url.hosts.0.password',
  'rabbit://%zz:hidden@h': 'url.hosts.0.username',
  'rabbit://u:hidden@h/%zz': 'url.vhost',
  'rabbit://u:hidden@h?a=%zz': 'url.a',
  'rabbit://u:hidden@h?a=1&a=2': 'url.a',
  'rabbit://u:hidden/x@h': 'url.hosts.0.port',
};

const word = fc.string({ minLength: 1, maxLength: 12, unit: 'binary' });

describe('the transport URL', () => {
  for (const [url, { scheme, hosts, vhost, query = {} }] of Object.entries(table))
    it(`O-03: reads ${url}`, () => {
      const parsed = parseTransportUrl(url);
      expect([parsed.scheme, parsed.hosts, parsed.vhost]).to.deep.equal([scheme, hosts, vhost]);
      expect({ ...parsed.query }).to.deep.equal(query);
    });

  for (const [url, path] of Object.entries(malformed))
    it(`O-03: refuses "${url}" with an error that names ${path} and shows no password`, () => {
      const error = thrownBy(() => parseTransportUrl(url));
      expect(error).to.include({ code: 'CONFIG', path });
      expect(`${error.message} ${error.stack}`).to.not.match(/hid,?den/);
    });

  it('O-03: masks passwords and secrets where it is printed', () => {
    const url = parseTransportUrl('rabbit://u:hidden@a:1,v:hidden@[::1]:2/v?apiKey=hidden&token=hidden&heartbeatMs=5');
    expect(`${url}`).to.equal('rabbit://u:***@a:1,v:***@[::1]:2/v?apiKey=***&token=***&heartbeatMs=5');
  });

  it('O-03: reads back any user, password, vhost and option that was percent-encoded', () => {
    const enc = encodeURIComponent;
    fc.assert(
      fc.property(word, word, word, word, word, (username, password, vhost, key, value) => {
        const url = `rabbit://${enc(username)}:${enc(password)}@h:5672/${enc(vhost)}?${enc(key)}=${enc(value)}`;
        const parsed = parseTransportUrl(url);
        expect(parsed.hosts).to.deep.equal([host('h', 5672, username, password)]);
        expect(parsed.vhost).to.equal(vhost);
        expect(Object.entries(parsed.query)).to.deep.equal([[key, value]]);
      }),
    );
  });

  it('O-03: never prints a password', () => {
    const password = fc.stringMatching(/^[a-z0-9]{12,20}$/);
    fc.assert(
      fc.property(password, word, (secret, user) => {
        expect(
          String(parseTransportUrl(`rabbit://${encodeURIComponent(user)}:${secret}@h/v?password=${secret}`)),
        ).to.not.include(secret);
      }),
    );
  });

  it('O-03: refuses whatever it cannot read with a typed error that holds none of the text after the scheme', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (rest) => {
        try {
          parseTransportUrl(`rabbit://user:hidden@${rest}`);
        } catch (error) {
          expect(error).to.have.property('code', 'CONFIG');
          expect(String(error)).to.not.include('hidden');
        }
      }),
    );
  });

  it('puts IPv6 hosts into brackets', () => {
    expect(hostText(host('::1', 5672))).to.equal('[::1]:5672');
    expect(hostText(host('::1'))).to.equal('[::1]');
    expect(hostText(host('h', 1, 'u', 'p'))).to.equal('h:1');
  });

  it('puts hosts into an order that differs from process to process', () => {
    const hosts = ['a', 'b', 'c'].map((name) => host(name));
    const firsts = Array.from({ length: 300 }, () => shuffled(hosts)).map((order) => {
      expect(order).to.have.members(hosts);
      return order[0]?.host;
    });
    for (const { host: name } of hosts) expect(firsts.filter((first) => first === name)).to.have.length.within(50, 150);
  });
});
