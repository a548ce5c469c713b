import { newId, silent, type Transport } from '@posthorn/core';
import { expect } from 'chai';
import { connect, contractClient, contractServer, defineContract, RemoteError, RPCClient } from 'posthorn';
import { z } from 'zod';
import { OsloClient, OsloError, OsloServer } from '../src/oslo-peers.ts';
import { type OsloPlace, openOsloPlace } from '../src/oslo-place.ts';
import { places } from '../src/places.ts';
import { rabbitVersions } from '../src/rabbit-broker.ts';
import { rejection } from '../src/rejection.ts';

const WRONG = { name: 'web', flavor: { ram: '2' } };
const PATH = /create\.params\.flavor\.ram: .*expected number/;

function computeContract(exchange: string, topic: string) {
  return defineContract({
    topic,
    exchange,
    version: '1.0',
    methods: {
      create: {
        params: z.object({ name: z.string(), flavor: z.object({ ram: z.number() }), zone: z.string().default('z1') }),
        result: z.object({ id: z.string(), zone: z.string() }),
        errors: { QuotaExceeded: z.object({ limit: z.number() }) },
      },
    },
  });
}

type Compute = ReturnType<typeof computeContract>;

function serve(transport: Transport, contract: Compute) {
  return contractServer(transport, contract, {
    server: 'host1',
    methods: {
      create(_, { name, flavor, zone }) {
        if (flavor.ram > 64) throw new contract.errors.QuotaExceeded({ limit: 64 }, 'too much memory');
        return { id: `${name}-1`, zone };
      },
    },
  }).start();
}

for (const { name, open } of places())
  describe(`a contract over ${name}`, () => {
    it('is kept by a typed client, and an untyped one that breaks it is told where', async function () {
      this.timeout(180_000);
      await using place = await open(this);
      await using transport = await connect(place.url, { logger: silent });
      const contract = computeContract(newId(), newId());
      await serve(transport, contract);
      const client = contractClient(transport, contract);
      expect(await client.call({}, 'create', { name: 'web', flavor: { ram: 2 } })).to.deep.equal({
        id: 'web-1',
        zone: 'z1',
      });
      const full = await rejection(client.call({}, 'create', { name: 'web', flavor: { ram: 65 } }));
      if (!(full instanceof contract.errors.QuotaExceeded)) throw full;
      expect(full)
        .to.include({ message: 'too much memory' })
        .and.to.deep.include({ data: { limit: 64 } });
      const { topic, exchange = '' } = contract.definition;
      const error = await rejection(
        new RPCClient(transport, { target: { topic, exchange } }).call({}, 'create', WRONG),
      );
      expect(error).to.be.instanceOf(RemoteError).and.to.have.property('type', 'InvalidParamsError');
      expect(error).to.have.property('message').that.matches(PATH);
    });
  });

for (const candidate of rabbitVersions()) {
  const title = `a contract with Python peers on ${candidate.name}`;

  describe(title, function () {
    this.timeout(60_000);
    let place: OsloPlace;
    let transport: Transport;

    before(async function () {
      place = await openOsloPlace(this, title, candidate);
      transport = await connect(`${place.url}?wire=oslo`, { logger: silent });
    });

    after(async () => {
      await transport?.close();
      await place?.vhost[Symbol.asyncDispose]();
    });

    it('is kept by a Node server: Python is told where it breaks it, and what is declared', async () => {
      const { url, exchange, topic } = place;
      await using _server = await serve(transport, computeContract(exchange, topic));
      await using python = await OsloClient.start({ url, exchange });
      const call = (args: Readonly<Record<string, unknown>>): Promise<unknown> =>
        python.call({ topic, method: 'create', args, timeout: 20 });
      expect(await call({ name: 'web', flavor: { ram: 2 } })).to.deep.equal({ id: 'web-1', zone: 'z1' });
      const failure = async (args: Readonly<Record<string, unknown>>): Promise<OsloError> => {
        const error = await rejection(call(args));
        if (!(error instanceof OsloError)) throw error;
        return error;
      };
      const wrong = await failure(WRONG);
      expect(wrong).to.include({ class: 'RemoteError', excType: 'InvalidParamsError' });
      expect(wrong.message).to.match(PATH);
      const full = await failure({ name: 'web', flavor: { ram: 65 } });
      expect(full).to.include({ class: 'RemoteError', excType: 'QuotaExceeded' });
      expect(full.message).to.contain('too much memory');
    });

    it("checks what a Python server returns, and makes its declared exceptions the contract's", async () => {
      const { url, exchange } = place;
      const topic = newId();
      const Peer = defineContract({
        topic,
        exchange,
        version: '1.0',
        methods: {
          add: { params: z.object({ a: z.number(), b: z.number() }), result: z.number().max(10) },
          boom: {
            params: z.object({ kind: z.string(), text: z.string(), code: z.number() }),
            result: z.null(),
            errors: { 'peers.errors.PeerError': z.object({ code: z.number() }) },
          },
        },
      });
      await using _python = await OsloServer.start({ url, exchange, topic, server: 'py' });
      const client = contractClient(transport, Peer);
      expect(await client.call({}, 'add', { a: 3, b: 4 })).to.equal(7);
      const much = await rejection(client.call({}, 'add', { a: 30, b: 4 }));
      expect(much)
        .to.include({ code: 'MALFORMED' })
        .and.to.have.property('message')
        .that.matches(/^add\.result: /);
      const error = await rejection(client.call({}, 'boom', { kind: 'PeerError', text: 'no disk', code: 7 }));
      const { 'peers.errors.PeerError': PeerError } = Peer.errors;
      if (!(error instanceof PeerError)) throw error;
      expect(error)
        .to.include({ message: 'no disk' })
        .and.to.deep.include({ data: { code: 7 } });
    });
  });
}
