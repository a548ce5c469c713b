/** A promise that its owner may leave alone: nobody who looks away wants his process to end. */
export function ignorable<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore);
  return promise;
}

function ignore(): void {}
