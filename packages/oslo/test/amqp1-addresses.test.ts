import { expect } from 'chai';
import { type Addressing, addressesFor } from '../src/amqp1-addresses.ts';

const target = { exchange: 'openstack', topic: 'compute' };

/** The addresses of one RPC server and one notification, in the order of `KINDS`. */
function all(addressing: Addressing, product?: string, vhost?: string): readonly string[] {
  const { rpc, notifications } = addressesFor(addressing, product, vhost);
  return [
    rpc({ kind: 'anycast', ...target }),
    rpc({ kind: 'unicast', ...target, server: 'host1' }),
    rpc({ kind: 'multicast', ...target }),
    notifications('openstack', 'notifications.info'),
  ];
}

const LEGACY = [
  'unicast.openstack.compute',
  'exclusive.openstack.compute.host1',
  'broadcast.openstack.compute.all',
  'unicast.openstack.notifications.info',
];
const ROUTABLE = [
  'openstack.org/om/rpc/anycast/openstack/compute',
  'openstack.org/om/rpc/unicast/openstack/compute/host1',
  'openstack.org/om/rpc/multicast/openstack/compute',
  'openstack.org/om/notify/anycast/openstack/notifications.info',
];

describe("the addresses of Python's amqp driver", () => {
  it('are legacy or routable ones where that is asked for, whatever the broker is', () => {
    for (const product of [undefined, 'qpid-cpp', 'qpid-dispatch-router']) {
      expect(all('legacy', product)).to.deep.equal(LEGACY);
      expect(all('routable', product)).to.deep.equal(ROUTABLE);
    }
  });

  it('K-05: are legacy ones for qpidd and brokers that do not say what they are, else routable', () => {
    for (const product of [undefined, 'qpid-cpp']) expect(all('dynamic', product)).to.deep.equal(LEGACY);
    for (const product of ['qpid-dispatch-router', 'apache-activemq-artemis', 'ActiveMQ', 'Posthorn', ''])
      expect(all('dynamic', product)).to.deep.equal(ROUTABLE);
  });

  it('have the vhost in them', () => {
    expect(all('legacy', undefined, 'v1')).to.deep.equal([
      'unicast.v1.openstack.compute',
      'exclusive.v1.openstack.compute.host1',
      'broadcast.v1.openstack.compute.all',
      'unicast.v1.openstack.notifications.info',
    ]);
    expect(all('routable', undefined, 'v1')).to.deep.equal([
      'openstack.org/om/rpc/anycast/v1/openstack/compute',
      'openstack.org/om/rpc/unicast/v1/openstack/compute/host1',
      'openstack.org/om/rpc/multicast/v1/openstack/compute',
      'openstack.org/om/notify/anycast/v1/openstack/notifications.info',
    ]);
  });

  it('skip what is empty', () => {
    for (const addressing of ['legacy', 'routable'] as const) {
      const { rpc } = addressesFor(addressing, undefined, '');
      expect(rpc({ kind: 'anycast', exchange: '', topic: 't' })).to.be.oneOf([
        'unicast.t',
        'openstack.org/om/rpc/anycast/t',
      ]);
    }
  });
});
