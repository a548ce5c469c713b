import { type ErrorCode, type ErrorOptions, MessagingError, messageOf } from '@posthorn/core';

/**
 * What is wrong, by name and number. The number travels with an error to the caller's error handler.
 *
 * | name | number | meaning |
 * |---|---|---|
 * | `FieldMustExist` | 1001 | a message without one of the headers |
 * | `UnsuitableFieldValue` | 1002 | a header or body that is not of its form |
 * | `FieldMustFullyDefined` | 1003 | an entry point that is empty where it must not be |
 * | `HandlerNotFound` | 1004 | nobody handles that entry point |
 * | `NeedToBeController` | 1005 | what was given as a service is none |
 * | `WrongEntryPointFormat` | 1006 | not `service.method` |
 * | `UnableToDiscover` | 1007 | the discovery does not know the service, or not as a publisher |
 * | `WrongResponse` | 1009 | a handler or middleware returned what is no answer |
 * | `UnknownService` | 1022 | a handler for requests to another service than its own |
 * | `DuplicatedServiceRegistration` | 1023 | two classes of a service handle the same |
 * | `DuplicatedEntryPointRegistration` | 1024 | a class handles the same twice |
 * | `ServiceIsNotRegister` | 1026 | the file of services does not have it |
 * | `DuplicatedMethodRegistration` | 1028 | a method with two entry points |
 * | `ForbiddenHeaders` | 1029 | own headers that bear the name of a standard one |
 * | `CantRegisterRemotePublisher` | 1030 | a subscription to a service that does not publish |
 * | `IncorrectMessage` | 1031 | a middleware returned what is no message |
 * | `RegistryFrozen` | 1032 | a registration after the start |
 * | `WrongParameters` | 1033 | parameters that do not fit their schema |
 * | `DiscoveryMissing` | 1034 | a service without a discovery |
 * | `Nackable` | 1050 | thrown by a handler that wants its message again |
 */
export type ServiceErrorName =
  | 'FieldMustExist'
  | 'UnsuitableFieldValue'
  | 'FieldMustFullyDefined'
  | 'HandlerNotFound'
  | 'NeedToBeController'
  | 'WrongEntryPointFormat'
  | 'UnableToDiscover'
  | 'WrongResponse'
  | 'UnknownService'
  | 'DuplicatedServiceRegistration'
  | 'DuplicatedEntryPointRegistration'
  | 'ServiceIsNotRegister'
  | 'DuplicatedMethodRegistration'
  | 'ForbiddenHeaders'
  | 'CantRegisterRemotePublisher'
  | 'IncorrectMessage'
  | 'RegistryFrozen'
  | 'WrongParameters'
  | 'DiscoveryMissing'
  | 'Nackable';

const KINDS: Readonly<Record<ServiceErrorName, readonly [number, ErrorCode]>> = {
  FieldMustExist: [1001, 'MALFORMED'],
  UnsuitableFieldValue: [1002, 'MALFORMED'],
  FieldMustFullyDefined: [1003, 'MALFORMED'],
  HandlerNotFound: [1004, 'NO_SUCH_METHOD'],
  NeedToBeController: [1005, 'CONFIG'],
  WrongEntryPointFormat: [1006, 'MALFORMED'],
  UnableToDiscover: [1007, 'UNROUTABLE'],
  WrongResponse: [1009, 'MALFORMED'],
  UnknownService: [1022, 'CONFIG'],
  DuplicatedServiceRegistration: [1023, 'CONFIG'],
  DuplicatedEntryPointRegistration: [1024, 'CONFIG'],
  ServiceIsNotRegister: [1026, 'CONFIG'],
  DuplicatedMethodRegistration: [1028, 'CONFIG'],
  ForbiddenHeaders: [1029, 'CONFIG'],
  CantRegisterRemotePublisher: [1030, 'CONFIG'],
  IncorrectMessage: [1031, 'MALFORMED'],
  RegistryFrozen: [1032, 'CONFIG'],
  WrongParameters: [1033, 'MALFORMED'],
  DiscoveryMissing: [1034, 'CONFIG'],
  Nackable: [1050, 'OVERLOADED'],
};

/** The numbers of errors that have none of their own. */
const UNKNOWN = 1000;

/** Every numbered error, for documents and tests. */
export const SERVICE_ERRORS: Readonly<Record<ServiceErrorName, number>> = Object.fromEntries(
  Object.entries(KINDS).map(([name, [number]]) => [name, number]),
) as Record<ServiceErrorName, number>;

export class ServiceError extends MessagingError {
  readonly number: number;
  override readonly name: ServiceErrorName;

  constructor(name: ServiceErrorName, message: string, options?: ErrorOptions) {
    const [number, code] = KINDS[name];
    super(code, message, options);
    this.name = name;
    this.number = number;
  }
}

/** Thrown by a handler that cannot now: its message comes again, later, up to the limit of the server's `retry`. */
export class NackableError extends ServiceError {
  constructor(message: string, options?: ErrorOptions) {
    super('Nackable', message, options);
  }
}

/** What an error handler gets of what was thrown elsewhere. */
export interface ErrorPayload {
  readonly class: string;
  readonly message: string;
  /** The error's number: 1000 where it has none. */
  readonly code: number;
}

export function errorPayload(thrown: unknown): ErrorPayload {
  const message = messageOf(thrown);
  if (thrown instanceof ServiceError) return { class: thrown.name, message, code: thrown.number };
  if (!(thrown instanceof Error)) return { class: typeof thrown, message, code: UNKNOWN };
  const code = 'code' in thrown && typeof thrown.code === 'number' ? thrown.code : UNKNOWN;
  return { class: thrown.name === 'Error' ? thrown.constructor.name : thrown.name, message, code };
}
