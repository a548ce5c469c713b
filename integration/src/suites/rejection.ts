import { rejection } from '../rejection.ts';

/** The error with which the promise rejects. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error> {
  const reason = await rejection(promise);
  if (reason instanceof Error) return reason;
  throw new Error('rejected with something that is no Error', { cause: reason });
}

/** The code of that error, or the error itself where it has none. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  const error = await rejectionOf(promise);
  return 'code' in error ? error.code : error;
}
