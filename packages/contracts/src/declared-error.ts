import { type ErrorOptions, MessagingError } from '@posthorn/core';
import type { ErrorClass } from '@posthorn/rpc';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Schema } from './validation.ts';

/** An error that a contract declares, with its data. Its class is in `contract.errors`. */
export class DeclaredError<Data = unknown> extends MessagingError {
  readonly data: Data;

  constructor(name: string, data: Data, message: string, options?: ErrorOptions) {
    super('REMOTE', message, options);
    this.name = name;
    this.data = data;
  }

  /** As it travels, on either wire. */
  get kwargs(): unknown {
    return this.data;
  }
}

/** The class of an error that was declared by the schema of its data, an object. */
export interface DeclaredErrorClass<Input = never, Data = unknown> {
  readonly prototype: DeclaredError<Data>;
  /** @param message default: the error's name */
  new (data: Input, message?: string, options?: ErrorOptions): DeclaredError<Data>;
}

/** How an error is declared: by the schema of its data, or by a class of its own, which a message alone makes. */
export type ErrorDefinition = Schema | ErrorClass;

export type ClassOf<E extends ErrorDefinition> = E extends Schema
  ? DeclaredErrorClass<StandardSchemaV1.InferInput<E>, StandardSchemaV1.InferOutput<E>>
  : E;

export function isSchema(definition: ErrorDefinition): definition is Schema {
  return '~standard' in definition;
}

export function declaredErrorClass(name: string): DeclaredErrorClass {
  return class extends DeclaredError {
    constructor(data: unknown, message: string = name, options?: ErrorOptions) {
      super(name, data, message, options);
    }
  };
}
