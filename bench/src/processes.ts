import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const ESTABLISHED = '01';
const LISTENING = '0A';
/** What the kernel counts in, on every Linux that Node runs on. */
const TICK_US = 10_000;
const PAGE_BYTES = 4_096;

/**
 * The processor time that a broker on this machine has used so far, in microseconds; undefined where it runs elsewhere, or
 * cannot be seen.
 */
export function brokerCpu(host: string, port: number): (() => number | undefined) | undefined {
  if (process.platform !== 'linux' || !['localhost', '127.0.0.1', '::1'].includes(host)) return undefined;
  const inodes = sockets(({ state, localPort }) => state === LISTENING && localPort === port);
  const pid = inodes.size === 0 ? undefined : readdirSync('/proc').find((name) => held(name, inodes) > 0);
  return pid === undefined ? undefined : () => cpuOf(pid);
}

/** How many connections to a port the processes have together; undefined where that cannot be seen. */
export function connectionsOf(pids: readonly (number | undefined)[], port: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const inodes = sockets(({ state, remotePort }) => state === ESTABLISHED && remotePort === port);
  return pids.reduce<number>((total, pid) => total + held(String(pid), inodes), 0);
}

/** Memory that the processes hold on average, in bytes, with what they share counted for each; undefined elsewhere. */
export function residentOf(pids: readonly (number | undefined)[]): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const pages = pids.map((pid) => Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]));
  return (pages.reduce((total, each) => total + each, 0) / pids.length) * PAGE_BYTES;
}

function cpuOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets, and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK_US;
  } catch {
    return undefined;
  }
}

interface Entry {
  readonly state: string;
  readonly localPort: number;
  readonly remotePort: number;
}

/** The inodes of the TCP sockets that match. */
function sockets(matches: (entry: Entry) => boolean): ReadonlySet<string> {
  const lines = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/net/${table}`, 'latin1').split('\n').slice(1));
  return new Set(
    lines.flatMap((line) => {
      const [, local, remote, state = '', , , , , , inode] = line.trim().split(/\s+/);
      const entry = { state, localPort: portOf(local), remotePort: portOf(remote) };
      return inode !== undefined && matches(entry) ? [inode] : [];
    }),
  );
}

function portOf(address = ''): number {
  return Number.parseInt(address.split(':')[1] ?? '', 16);
}

/** How many of the sockets a process has open: none where it is not ours to look into, or has ended. */
function held(pid: string, inodes: ReadonlySet<string>): number {
  if (!/^\d+$/.test(pid)) return 0;
  try {
    return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
      const inode = /^socket:\[(\d+)\]$/.exec(target(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode !== undefined && inodes.has(inode);
    }).length;
  } catch {
    return 0;
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
