import { type ContentCodec, json } from './content.ts';
import type { Driver } from './driver.ts';
import type { Message } from './message.ts';

/**
 * The codecs of a wire, by pattern. Each pattern adds its own key by declaration merging, so that core knows none:
 *
 * ```ts
 * declare module '@posthorn/core' { interface WireCodecs { rpc: RPCCodec } }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: filled by the patterns
export interface WireCodecs {}

/** How messages look and where they go on a broker: a value, chosen at connect. */
export interface Wire {
  readonly name: string;
  /** The exchange of targets that name none. */
  readonly exchange: string;
  /** How values become bytes. The first is used to send, any to receive. */
  readonly contents: readonly ContentCodec[];
  /** Codecs of patterns that differ from the pattern's own. */
  readonly codecs: Partial<WireCodecs>;
  /** Which request a message answers. By default its correlation id. */
  readonly correlate?: (message: Message) => string | undefined;
  /** By driver name: the names and flags that peers on this wire expect. */
  readonly topology?: Readonly<Record<string, unknown>>;
  /**
   * This wire as peers speak it over a driver and its kind of broker, where that makes a difference. Asked once for each
   * transport; undefined means as it is, and a throw ends the attempt to connect.
   */
  readonly on?: (driver: Pick<Driver, 'name' | 'product'>) => Wire | undefined;
}

export interface NativeOptions {
  /** Default `posthorn`. */
  readonly exchange?: string;
  /** Default JSON alone. */
  readonly contents?: readonly [ContentCodec, ...ContentCodec[]];
}

/** Posthorn's own wire: standard message properties, metadata in headers, and a body that holds only the content. */
export function native(options: NativeOptions = {}): Wire {
  return { name: 'native', exchange: options.exchange ?? 'posthorn', contents: options.contents ?? [json], codecs: {} };
}
