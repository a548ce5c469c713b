import { generateKeyPairSync } from 'node:crypto';

const url = process.argv[2] ?? 'memory://';
const userInfo = { user: 'guest', token: 'guest', expiresInMs: 300_000 };
const fetchToken = async () => userInfo;

// #region credentials
import { connect } from 'posthorn';

const transport = await connect(url, {
  rabbit: {
    // Asked before each attempt to connect, and again before the token is over.
    credentials: async () => {
      const { user, token, expiresInMs } = await fetchToken();
      return { username: user, password: token, expiresInMs };
    },
  },
});
// #endregion credentials

const { privateKey, publicKey } = generateKeyPairSync('ed25519');

// #region signing
import { ed25519, Publisher, Subscriber } from 'posthorn';

const publisher = new Publisher(transport, {
  exchange: 'metering',
  publisherId: 'compute.host1',
  signer: ed25519({ privateKey, keyId: 'compute-2026' }), // signs; nobody else can
});

const collectors = new Subscriber(transport, {
  exchange: 'metering',
  group: 'collectors',
  verify: { verifier: ed25519({ publicKeys: { 'compute-2026': publicKey } }) },
  onRefused: ({ reason, detail }, { publisherId }) => console.warn(`${publisherId}: ${reason}: ${detail}`),
});
// #endregion signing
collectors.bind('#', (payload) => console.log('metered', payload));
await collectors.start();
await publisher.publish({ messageType: 'meter', version: '1.0', payload: { volume: 17 } });
const stranger = new Publisher(transport, { exchange: 'metering', publisherId: 'mallory' });
await stranger.publish({ messageType: 'meter', version: '1.0', payload: { volume: 1_000_000 } });

while (collectors.refused.unsigned === 0) await new Promise(setImmediate);
console.log('refused', collectors.refused.unsigned);
