import { closedLoop, type Load, type Loop } from './closed-loop.ts';

/** What a peer process is to be. */
export interface Setup {
  /** `both` where client and server cannot be apart. */
  readonly role: 'client' | 'server' | 'both';
  readonly url: string;
  /** Unique to this run. */
  readonly topic: string;
}

export interface Peer {
  /** The broker's version, where it tells. */
  readonly broker?: string | undefined;
  /** Makes one call. Absent on a server. */
  readonly call?: () => Promise<unknown>;
  close(): Promise<void>;
}

export type Task =
  | { readonly task: 'start'; readonly setup: Setup }
  | { readonly task: 'run'; readonly load: Load }
  | { readonly task: 'cpu' }
  | { readonly task: 'stop' };

export type Answer =
  | { readonly task: 'start'; readonly broker?: string | undefined }
  | { readonly task: 'run'; readonly loop: Loop }
  | { readonly task: 'cpu'; readonly us: number }
  | { readonly task: 'stop' }
  | { readonly task: 'failed'; readonly error: string };

/** The main loop of a peer process: does what its parent says, and ends with it. */
export function obey(start: (setup: Setup) => Promise<Peer>): void {
  let peer: Peer | undefined;
  const perform = async (task: Task): Promise<Answer> => {
    switch (task.task) {
      case 'start':
        peer = await start(task.setup);
        return { task: 'start', broker: peer.broker };
      case 'run':
        if (peer?.call === undefined) throw new Error('not a client');
        return { task: 'run', loop: await closedLoop(peer.call, task.load) };
      case 'cpu': {
        const { user, system } = process.cpuUsage();
        return { task: 'cpu', us: user + system };
      }
      case 'stop':
        await peer?.close();
        return { task: 'stop' };
    }
  };
  process.on('disconnect', () => process.exit());
  process.on('message', (task: Task) => {
    void perform(task)
      .catch((error: unknown): Answer => ({ task: 'failed', error: String(error) }))
      .then((answer) => process.send?.(answer));
  });
}
