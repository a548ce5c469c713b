import { type OsloTopology, oslo } from '@posthorn/oslo';
import type { Topology } from '@posthorn/rabbit';
import { expect } from 'chai';

/** Neither package knows the other: here is where their shapes are held together, by the compiler. */
const fits = (topology: OsloTopology) => topology satisfies Topology;

describe('the topology of the oslo wire', () => {
  it('is one for the RabbitMQ driver', () => {
    const topology = fits(oslo().topology?.['rabbit'] as OsloTopology);
    const target = { exchange: 'nova', topic: 'compute' };
    expect(topology.route({ kind: 'anycast', ...target })).to.have.nested.property('exchange.name', 'nova');
    expect(topology.intake([{ kind: 'anycast', ...target }], {})).to.have.nested.property('queue.name', 'compute');
    expect(topology.kept({ kind: 'anycast', ...target })).to.have.nested.property('queue.name', 'compute');
  });
});
