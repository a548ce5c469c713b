import {
  connect,
  defineMessage,
  Exchange,
  hmacSha256,
  MessageFactory,
  Publisher,
  Router,
  Subscriber,
  TypedMessage,
} from 'posthorn';

const [url = 'rabbit://localhost', exchangeName = 'metering', routingKey = 'some.key'] = process.argv.slice(2);

// #region message
class ObjectToSend extends TypedMessage {
  readonly arg1: string;

  constructor(arg1: string) {
    super({ messageType: 'some.string', version: '1.0' });
    this.arg1 = arg1;
  }
}
// #endregion message

class Counter extends TypedMessage {
  static readonly messageType = 'counter';
  static readonly version = '1.0';
  readonly name: string;
  readonly volume: number;

  constructor(name: string, volume: number) {
    super(Counter);
    this.name = name;
    this.volume = volume;
  }
}

// #region router
class CeilometerRouter extends Router {
  sendMeterMessage(meter: Counter) {
    return this.send('metering', meter);
  }
}
// #endregion router

const transport = await connect(url);
const signingKey = hmacSha256({ keys: { 2026: 'a secret of this exchange' }, signWith: '2026' });

const subscriber = new Subscriber(transport, {
  exchange: exchangeName,
  keys: ['#'],
  verify: { verifier: signingKey },
  orderBy: () => 'as they come',
});
let left = 3;
const done = (): void => {
  if (--left === 0) void transport.close();
};
subscriber.on(defineMessage({ type: 'some.string', version: '1.0', class: ObjectToSend }), ({ arg1 }, { key }) => {
  console.log(`${key}: ${arg1}`);
  done();
});
// #region subscriber
subscriber.on(Counter, (counter, { key, publisherId }) => {
  console.log(`${key}: ${counter.volume} of ${counter.name} from ${publisherId}`);
  done();
});
// #endregion subscriber
await subscriber.start();

// #region envelope
const obj = new ObjectToSend('blah');
const e = new Exchange(exchangeName, transport);
const mf = new MessageFactory({ publisherId: 'compute.host1', signer: signingKey });
const m = mf.createMessage(obj); // uses obj.toJSON() and other properties
await e.send(routingKey, m);
// #endregion envelope

// #region publisher
const p = new Publisher(transport, { exchange: exchangeName, publisherId: 'compute.host1', signer: signingKey });
await p.send(routingKey, obj);
// #endregion publisher

const r = new CeilometerRouter(p);
const { status } = await r.sendMeterMessage(new Counter('cpu_util', 17));
console.log(`the last one was ${status}`);
