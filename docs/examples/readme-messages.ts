import { transport } from './place.ts';

process.env['METERING_KEY'] = 'sixteen bytes or more';
const store = (...what: readonly unknown[]) => console.log('stored', ...what);

// #region all
import { defineMessage, hmacSha256, Publisher, Subscriber } from 'posthorn';
import { z } from 'zod'; // or any other Standard Schema

const Meter = defineMessage({
  type: 'meter',
  version: '1.0',
  payload: z.object({ name: z.string(), volume: z.number() }),
});
const key = hmacSha256({ keys: { 2026: process.env['METERING_KEY'] }, signWith: '2026' }); // several keys verify, one signs

const workers = new Subscriber(transport, { exchange: 'metering', group: 'collectors', verify: { verifier: key } });
workers.on(Meter, ({ name, volume }, { publisherId }) => store(name, volume, publisherId)); // typed, and checked
workers.bind('#', (_payload, { type }) => console.log(`no idea what a ${type} is`)); // everything else
await workers.start();

const publisher = new Publisher(transport, { exchange: 'metering', publisherId: 'compute.host1', signer: key });
const { status } = await publisher.publish(Meter, { name: 'cpu', volume: 17 });
// confirmed | returned | nacked | unknown | dropped: the truth, as far as anybody can know it
// #endregion all
console.log(status);
