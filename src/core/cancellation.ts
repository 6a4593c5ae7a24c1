/**
 * The cancellation of a request: the client left, its time ran out, the server shuts down. Much cheaper than an abort signal,
 * which it makes only for code that takes nothing else. The first reason counts. And the one way to wait for an abort.
 */
import type { ServingError } from './errors.ts';

export type OnCancel = (reason: ServingError) => void;

export class Cancellation {
  #reason: ServingError | undefined;
  #listeners: Set<OnCancel> | undefined;
  #controller: AbortController | undefined;

  /** Undefined: not cancelled. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** For code that takes only signals. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  cancel(reason: ServingError): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const listeners = this.#listeners;
    this.#listeners = undefined;
    for (const listener of listeners ?? []) listener(reason);
    this.#controller?.abort(reason);
  }

  /** The listener is called at most once, and not if it was cancelled before: see `reason`. */
  onCancel(listener: OnCancel): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  off(listener: OnCancel): void {
    this.#listeners?.delete(listener);
  }
}

export interface Settle<Value> {
  resolve(value: Value): void;
  reject(reason: unknown): void;
}

/**
 * Waits for what `start` resolves or rejects with, or for the signal, whichever comes first. When the signal aborts, it rejects
 * with the signal's reason at once and calls the function that `start` returned, to end the work. Leaves no listener behind.
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
