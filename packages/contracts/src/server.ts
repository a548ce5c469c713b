import { ConfigError, type Context, type Transport } from '@posthorn/core';
import {
  type CallInfo,
  type Endpoint,
  type ErrorRegistry,
  expected,
  RPCServer,
  type RPCServerOptions,
} from '@posthorn/rpc';
import type { Contract, ContractMethods, MethodDefinition } from './contract.ts';
import { DeclaredError, isSchema } from './declared-error.ts';
import { InvalidParamsError, parse, type Validate } from './validation.ts';

export interface EndpointOptions {
  /** Default `incoming`: arguments. With `all` also results, progress and the data of declared errors. */
  readonly validate?: Validate;
}

export interface ContractServerOptions<C extends Contract>
  extends Omit<RPCServerOptions, 'target' | 'endpoints'>,
    EndpointOptions {
  /** The server's own name. */
  readonly server: string;
  readonly methods: ContractMethods<C>;
  /** Further endpoints at the same topic: another version, say. See `contractEndpoint`. */
  readonly endpoints?: readonly Endpoint[];
}

/**
 * A server of the contract. Each method gets its arguments checked, their defaults applied; arguments that are wrong never
 * reach it: the caller is told the path, whatever it is written in.
 *
 * @throws {ConfigError} for a method that nothing implements
 */
export function contractServer<C extends Contract>(
  transport: Transport,
  contract: C,
  { server, methods, validate, endpoints = [], errors, ...options }: ContractServerOptions<C>,
): RPCServer {
  const { topic, exchange } = contract.definition;
  return new RPCServer(transport, {
    ...options,
    target: { topic, server, ...(exchange !== undefined && { exchange }) },
    endpoints: [contractEndpoint(contract, methods, validate === undefined ? {} : { validate }), ...endpoints],
    errors: { ...errors, ...ownErrorClasses(contract) },
  });
}

type Implementation = (context: Context, params: unknown, info: CallInfo) => unknown;

/** The contract's methods as an endpoint, for a server that has others, too. */
export function contractEndpoint<C extends Contract>(
  contract: C,
  methods: ContractMethods<C>,
  { validate = 'incoming' }: EndpointOptions = {},
): Endpoint {
  const { namespace, version, methods: definitions = {} } = contract.definition;
  const endpoint: Record<string, unknown> = { target: { version, ...(namespace !== undefined && { namespace }) } };
  for (const [name, definition] of Object.entries(definitions)) {
    const implementation: unknown = Reflect.get(methods, name);
    if (typeof implementation !== 'function')
      throw new ConfigError(`methods.${name}`, `${contract.name} ${version} has it, and nothing implements it`);
    const method = checked(name, definition, implementation.bind(methods), validate);
    endpoint[name] = expected(InvalidParamsError, ...classesOf(contract, definition))(method);
  }
  return endpoint;
}

/** The classes that declare an error themselves, by the names that travel. */
export function ownErrorClasses({ definition: { methods = {} } }: Contract): ErrorRegistry {
  const declared = Object.values(methods).flatMap(({ errors = {} }) => Object.entries(errors));
  return Object.fromEntries(declared.flatMap(([name, error]) => (isSchema(error) ? [] : [[name, error]])));
}

function classesOf(contract: Contract, { errors = {} }: MethodDefinition): readonly (abstract new () => Error)[] {
  return Object.keys(errors).map((name) => Reflect.get(contract.errors, name));
}

function checked(
  name: string,
  definition: MethodDefinition,
  implementation: Implementation,
  validate: Validate,
): Implementation {
  const { params, result, stream } = definition;
  const paramsOf = (args: unknown): unknown =>
    params === undefined || validate === 'none' ? args : parse(params, args, `${name}.params`, InvalidParamsError);
  /** It travels as it was given: whoever gets it applies the schema. */
  const leaving = async (part: 'result' | 'stream', value: unknown): Promise<unknown> => {
    const schema = part === 'result' ? result : stream;
    if (schema === undefined) return undefined;
    if (validate === 'all') await parse(schema, value, `${name}.${part}`);
    return value;
  };
  const failed = async (thrown: unknown): Promise<never> => {
    const schema = thrown instanceof DeclaredError ? definition.errors?.[thrown.name] : undefined;
    if (validate === 'all' && thrown instanceof DeclaredError && schema !== undefined && isSchema(schema))
      await parse(schema, thrown.data, `${name}.errors.${thrown.name}`);
    throw thrown;
  };
  if (stream !== undefined)
    return async function* (context, args, info) {
      const steps = implementation(context, await paramsOf(args), info) as AsyncGenerator<unknown, unknown, void>;
      try {
        for (;;) {
          const step = await steps.next();
          if (step.done) return await leaving('result', step.value);
          yield await leaving('stream', step.value);
        }
      } catch (error) {
        return await failed(error);
      } finally {
        await steps.return(undefined);
      }
    };
  return async (context, args, info) => {
    try {
      return await leaving('result', await implementation(context, await paramsOf(args), info));
    } catch (error) {
      return await failed(error);
    }
  };
}
