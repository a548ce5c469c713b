import { randomBytes } from 'node:crypto';
import { isSkip, type Skip } from './found.ts';
import type { RabbitBroker } from './rabbit.ts';
import { nodeName } from './rabbit-node.ts';
import { rabbitPorts, startRabbitProcess } from './rabbit-process.ts';
import { waitFor } from './wait-for.ts';

const FORMED_MS = 30_000;

export interface ClusterNode extends RabbitBroker {
  ctl(...args: readonly string[]): Promise<string>;
  kill9(): Promise<void>;
  start(): Promise<void>;
}

/** Nodes of one cluster of our own. */
export interface RabbitCluster {
  readonly nodes: readonly ClusterNode[];
  /** One URL with all hosts, in the order of `nodes`. */
  readonly url: string;
  /** The node that leads a quorum queue, asked of `asked`: by default the first. */
  leaderOf(queue: string, asked?: ClusterNode): Promise<ClusterNode | undefined>;
  stop(): Promise<void>;
}

/** Starts a cluster of an installed RabbitMQ; the nodes find each other by their configuration. About 10 s. */
export async function startRabbitCluster(size = 3): Promise<RabbitCluster | Skip> {
  const first = await rabbitPorts();
  const others = await Promise.all(Array.from({ length: size - 1 }, rabbitPorts));
  const ports = [first, ...others.map((own) => ({ ...own, epmd: first.epmd }))];
  const names = ports.map(nodeName);
  const cookie = randomBytes(16).toString('hex');
  const conf = [
    'cluster_formation.peer_discovery_backend = classic_config',
    ...names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
  ];
  const started = await Promise.all(
    ports.map((own, index) => startRabbitProcess({ conf, member: { ports: own, cookie, first: index === 0 } })),
  );
  const nodes: ClusterNode[] = [];
  for (const node of started) {
    if (isSkip(node)) return node;
    if (!isClusterNode(node)) return { skip: 'its nodes cannot be killed or asked' };
    nodes.push(node);
  }
  await waitFor('the cluster', () => hasFormed(nodes, size), FORMED_MS);
  return {
    nodes,
    url: `rabbit://guest:guest@${nodes.map(({ host, port }) => `${host}:${port}`).join(',guest:guest@')}/`,
    async leaderOf(queue, asked = nodes[0]) {
      const listed = await asked?.ctl('list_queues', '--silent', '--no-table-headers', 'name', 'leader');
      const [, leader] =
        listed
          ?.split('\n')
          .map((line) => line.split('\t'))
          .find(([name]) => name === queue) ?? [];
      return nodes[names.indexOf(leader ?? '')];
    },
    stop: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}

function isClusterNode(node: RabbitBroker): node is ClusterNode {
  return node.ctl !== undefined && node.kill9 !== undefined && node.start !== undefined;
}

async function hasFormed(nodes: readonly ClusterNode[], size: number): Promise<boolean> {
  const known = await nodes[0]?.ctl('eval', 'length(rabbit_nodes:all_running()).');
  return Number(known) === size;
}
