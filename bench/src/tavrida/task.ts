import type { TavridaLoad } from './options.ts';

/** What a process is to be: service A or B, plain amqplib in the place of A, or who sends to A. */
export interface TavridaSetup {
  readonly role: 'a' | 'b' | 'twin' | 'generator';
  readonly test: 1 | 2 | 3;
  readonly url: string;
  readonly engine: 'concurrent' | 'serial';
  readonly lane: 'split' | 'shared';
  readonly a: string;
  readonly b: string;
}

export type TavridaTask =
  | { readonly task: 'start'; readonly setup: TavridaSetup }
  /** The generator's whole work. */
  | { readonly task: 'load'; readonly load: TavridaLoad; readonly ms: number }
  /** A counts from its first request for that long, and then answers with what it counted; it works on. */
  | { readonly task: 'count'; readonly ms: number; readonly upTo: number }
  /** What A counts now, of the answers to what it sent while it counted. */
  | { readonly task: 'answers' }
  | { readonly task: 'stop' };

export interface TavridaCounts {
  readonly ms: number;
  readonly requests: number;
  readonly sent: number;
  readonly answers: number;
  /** From the cast to the handler. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** To each task; with an error instead of its result when it failed. */
export type TavridaAnswer =
  | { readonly task: 'start'; readonly broker?: string; readonly error?: string }
  /** `connections`: those that were opened for one message each. */
  | { readonly task: 'load'; readonly sent: number; readonly connections: number; readonly error?: string }
  | { readonly task: 'count'; readonly counts: TavridaCounts; readonly error?: string }
  | { readonly task: 'answers'; readonly answers: number; readonly error?: string }
  | { readonly task: 'stop'; readonly error?: string };

export const EXCHANGE = 'bench-tavrida';
/** What a run leaves on the broker goes by itself. */
export const RETENTION = { expiresMs: 60_000 } as const;
export const PREFETCH = 100;
