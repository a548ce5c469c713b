import { ConfigError, type Context, type Layer, type Transport } from '@posthorn/core';
import {
  type Args,
  type CallArguments,
  type CallOptions,
  type CallStream,
  type ClientOverrides,
  type Gathered,
  type GatherOptions,
  type MethodName,
  type OutgoingCall,
  type Progress,
  RemoteError,
  type Result,
  RPCClient,
  type RPCClientOptions,
  type StreamOptions,
} from '@posthorn/rpc';
import { checkedProgress } from './checked-progress.ts';
import type {
  CalledMethod,
  Contract,
  ContractApi,
  ContractDefinition,
  MethodDefinition,
  StreamedMethod,
} from './contract.ts';
import { type DeclaredErrorClass, isSchema } from './declared-error.ts';
import { ownErrorClasses } from './server.ts';
import { InvalidParamsError, parse, type Validate } from './validation.ts';

export interface ContractClientOptions extends Omit<RPCClientOptions, 'target'> {
  /** Default `incoming`: results, progress and the data of declared errors. With `all` also arguments. */
  readonly validate?: Validate;
}

type Called<D extends ContractDefinition> = CalledMethod<D> & MethodName<ContractApi<D>>;

type Streamed<D extends ContractDefinition> = StreamedMethod<D> & MethodName<ContractApi<D>>;

type GatherArgs<Api, M extends keyof Api> = Args<Api, M> extends void ? Record<string, never> : Args<Api, M>;

/** A typed client of the contract. */
export function contractClient<D extends ContractDefinition>(
  transport: Transport,
  contract: Contract<D>,
  { validate = 'incoming', layers = [], errors, ...options }: ContractClientOptions = {},
): ContractClient<D> {
  const { topic, exchange, namespace, version } = contract.definition;
  const rpc = new RPCClient<ContractApi<D>>(transport, {
    ...options,
    target: {
      topic,
      version,
      ...(exchange !== undefined && { exchange }),
      ...(namespace !== undefined && { namespace }),
    },
    errors: { InvalidParamsError, ...errors, ...ownErrorClasses(contract) },
    layers: [...layers, checking(contract, validate)],
  });
  return new ContractClient(rpc, contract, validate);
}

/**
 * Calls the methods of a contract. What it rejects with is what `RPCClient` rejects with; declared errors are of their
 * classes in `contract.errors`, and values that do not follow the contract are `MALFORMED`. Holds nothing that needs closing.
 */
export class ContractClient<D extends ContractDefinition> {
  /** The client underneath. It checks the same, but for progress. */
  readonly rpc: RPCClient<ContractApi<D>>;
  readonly #contract: Contract<D>;
  readonly #validate: Validate;

  /** @internal */
  constructor(rpc: RPCClient<ContractApi<D>>, contract: Contract<D>, validate: Validate) {
    this.rpc = rpc;
    this.#contract = contract;
    this.#validate = validate;
  }

  /** A client like this one, with some settings changed: `prepare({ server: 'host1' })`. */
  prepare(overrides: ClientOverrides): ContractClient<D> {
    return new ContractClient(this.rpc.prepare(overrides), this.#contract, this.#validate);
  }

  /** See `RPCClient.call`. */
  call<M extends Called<D>>(
    context: Context,
    method: M,
    ...rest: CallArguments<ContractApi<D>, M, CallOptions>
  ): Promise<Result<ContractApi<D>, M>> {
    return this.rpc.call(context, method, ...rest);
  }

  /** See `RPCClient.stream`. */
  stream<M extends Streamed<D>>(
    context: Context,
    method: M,
    ...rest: CallArguments<ContractApi<D>, M, StreamOptions>
  ): CallStream<Progress<ContractApi<D>, M>, Result<ContractApi<D>, M>> {
    const stream = this.rpc.stream(context, method, ...rest);
    const schema = this.#contract.definition.methods?.[method]?.stream;
    return schema === undefined || this.#validate === 'none'
      ? stream
      : checkedProgress(stream, schema, `${method}.stream`);
  }

  /** See `RPCClient.gather`. */
  gather<M extends Called<D>>(
    context: Context,
    method: M,
    args: GatherArgs<ContractApi<D>, M>,
    options: GatherOptions,
  ): Promise<readonly Gathered<Result<ContractApi<D>, M>>[]> {
    return this.rpc.gather(context, method, args, options);
  }

  /** See `RPCClient.cast`. */
  cast<M extends MethodName<ContractApi<D>>>(
    context: Context,
    method: M,
    ...rest: CallArguments<ContractApi<D>, M, CallOptions>
  ): Promise<void> {
    return this.rpc.cast(context, method, ...rest);
  }

  /** See `RPCClient.fanout`. */
  fanout<M extends MethodName<ContractApi<D>>>(
    context: Context,
    method: M,
    ...rest: CallArguments<ContractApi<D>, M, CallOptions>
  ): Promise<void> {
    return this.rpc.fanout(context, method, ...rest);
  }
}

/** Other methods than the contract's pass: a ping is one. */
function checking(contract: Contract, validate: Validate): Layer<OutgoingCall> {
  const { methods = {} } = contract.definition;
  return (next) => async (call) => {
    const definition = Object.hasOwn(methods, call.method) ? methods[call.method] : undefined;
    if (definition === undefined) return next(call);
    const { params, result } = definition;
    if (result === undefined && call.kind !== 'cast')
      throw new ConfigError(`methods.${call.method}`, `has no result in ${contract.name}: cast it`);
    if (validate === 'all' && params !== undefined)
      await parse(params, call.args, `${call.method}.params`, InvalidParamsError);
    const arrived = (value: unknown): unknown =>
      validate === 'none' || result === undefined ? value : parse(result, value, `${call.method}.result`);
    const failed = (reason: unknown): Promise<unknown> => declared(contract, definition, validate, call.method, reason);
    if (call.kind === 'cast') return next(call);
    if (call.kind === 'gather') return gathered(await next(call), arrived, failed);
    try {
      return await arrived(await next(call));
    } catch (error) {
      throw await failed(error);
    }
  };
}

async function gathered(
  replies: unknown,
  arrived: (value: unknown) => unknown,
  failed: (reason: unknown) => Promise<unknown>,
): Promise<readonly Gathered<unknown>[]> {
  const checked = async ({ server, value, error }: Gathered<unknown>): Promise<Gathered<unknown>> => {
    try {
      if (error !== undefined) throw error;
      return { server, value: await arrived(value) };
    } catch (reason) {
      return { server, error: (await failed(reason)) as Error };
    }
  };
  return Promise.all((replies as readonly Gathered<unknown>[]).map(checked));
}

/** The error to throw: of its class with its data, where the method declares it. */
async function declared(
  { errors: classes }: Contract,
  { errors = {} }: MethodDefinition,
  validate: Validate,
  method: string,
  reason: unknown,
): Promise<unknown> {
  if (!(reason instanceof RemoteError) || !Object.hasOwn(errors, reason.type)) return reason;
  const definition = errors[reason.type];
  if (definition === undefined || !isSchema(definition)) return reason;
  const ErrorClass: DeclaredErrorClass = Reflect.get(classes, reason.type);
  const path = `${method}.errors.${reason.type}`;
  try {
    const data = validate === 'none' ? reason.kwargs : await parse(definition, reason.kwargs, path);
    return new ErrorClass(data as never, reason.message, { cause: reason });
  } catch (error) {
    return Object.assign(error as Error, { cause: reason });
  }
}
