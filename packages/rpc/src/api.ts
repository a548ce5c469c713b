import type { Context } from '@posthorn/core';
import type { CallInfo } from './dispatcher.ts';

/**
 * The methods of a plain interface, as a client calls them. No schema is needed:
 *
 * ```ts
 * interface ComputeApi { reboot(args: { instance: string }): Promise<'done'> }
 * const compute = new RPCClient<ComputeApi>(transport, { target: { topic: 'compute' } });
 * const done = await compute.call({}, 'reboot', { instance: 'i-1' });
 * ```
 */
// biome-ignore lint/suspicious/noConfusingVoidType: methods without arguments
type ArgsOf<F> = F extends (...args: infer P) => unknown ? (P extends readonly [] ? void : P[0]) : never;

export type MethodName<Api> = {
  [M in keyof Api]: Api[M] extends (...args: never[]) => unknown ? M : never;
}[keyof Api] &
  string;

export type Args<Api, M extends keyof Api> = ArgsOf<Api[M]>;

type Returned<Api, M extends keyof Api> = Api[M] extends (...args: never[]) => infer R ? Awaited<R> : never;

type Ended<R> = R extends AsyncGenerator<unknown, infer End, never> ? End : R;

type Yielded<R> = unknown extends R ? unknown : R extends AsyncGenerator<infer Part, unknown, never> ? Part : never;

export type Result<Api, M extends keyof Api> = Ended<Returned<Api, M>>;

/**
 * What a streaming method tells on its way, which is what it yields:
 *
 * ```ts
 * interface ImagesApi { fetch(args: { image: string }): AsyncGenerator<{ percent: number }, { digest: string }> }
 * ```
 */
export type Progress<Api, M extends keyof Api> = Yielded<Returned<Api, M>>;

/** The arguments, which may be left out where the method takes none or only optional ones, and the options. */
export type Rest<Api, M extends keyof Api, Options> =
  Args<Api, M> extends void
    ? [args?: Record<string, never>, options?: Options]
    : Record<string, never> extends Args<Api, M>
      ? [args?: Args<Api, M>, options?: Options]
      : [args: Args<Api, M>, options?: Options];

/** What a client without an interface calls: any method, with named arguments or bytes. */
export interface UntypedApi {
  [method: string]: (args: Readonly<Record<string, unknown>> | Uint8Array) => unknown;
}

/** The same interface as an endpoint implements it: `class Compute implements Endpoints<ComputeApi>`. */
export type Endpoints<Api> = {
  [M in MethodName<Api>]: (
    context: Context,
    args: Args<Api, M>,
    info: CallInfo,
  ) => Returned<Api, M> | Promise<Result<Api, M>>;
};
