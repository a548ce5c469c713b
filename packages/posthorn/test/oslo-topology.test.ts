import type { Amqp1Topology } from '@posthorn/amqp1';
import { type OsloAmqp1OnRabbitMQ, type OsloAmqp1Topology, type OsloTopology, oslo } from '@posthorn/oslo';
import type { Topology } from '@posthorn/rabbit';
import { expect } from 'chai';

/** Neither package knows the other: here is where their shapes are held together, by the compiler. */
const fits = (topology: OsloTopology) => topology satisfies Topology;
const fitsAmqp1 = (topology: OsloAmqp1Topology | OsloAmqp1OnRabbitMQ) => topology satisfies Amqp1Topology;

describe('the topology of the oslo wire', () => {
  it('is one for the RabbitMQ driver', () => {
    const topology = fits(oslo().topology?.['rabbit'] as OsloTopology);
    const target = { exchange: 'nova', topic: 'compute' };
    expect(topology.route({ kind: 'anycast', ...target })).to.have.nested.property('exchange.name', 'nova');
    expect(topology.intake([{ kind: 'anycast', ...target }], {})).to.have.nested.property('queue.name', 'compute');
    expect(topology.kept({ kind: 'anycast', ...target })).to.have.nested.property('queue.name', 'compute');
  });

  it('is another one for the AMQP 1.0 driver', () => {
    const on = (name: string, product?: string) => oslo().on?.({ name, product });
    const topology = fitsAmqp1(on('amqp1', 'qpid-cpp')?.topology?.['amqp1'] as OsloAmqp1Topology);
    expect(topology).to.be.a('function');
    for (const name of ['rabbit', 'memory']) expect(on(name)).to.equal(undefined);
  });

  it('is that of RabbitMQ over AMQP 1.0 there, too', () => {
    expect(oslo().on?.({ name: 'amqp1', product: 'RabbitMQ' })).to.equal(undefined);
    expect(fitsAmqp1(oslo().topology?.['amqp1'] as OsloAmqp1OnRabbitMQ)).to.be.a('function');
  });
});
