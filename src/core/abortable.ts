/** The one way to wait for something or an abort, whichever comes first. */

export interface Settle<Value> {
  resolve(value: Value): void;
  reject(reason: unknown): void;
}

/**
 * A promise of what `start` brings about. When `signal` aborts it rejects with the signal's reason at once, and what `start`
 * returned is called to end the work. Leaves no listener behind.
 */
export function abortable<Value>(
  signal: AbortSignal,
  start: (settle: Settle<Value>) => (() => void) | undefined,
): Promise<Value> {
  return new Promise<Value>((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      reject(signal.reason);
      end?.();
    };
    const settled = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort, { once: true });
    const end = start({
      resolve: (value) => {
        settled();
        resolve(value);
      },
      reject: (reason) => {
        settled();
        reject(reason);
      },
    });
  });
}
