/**
 * The one cancellation of a request: the client left, its time ran out, the server shuts down. Much cheaper than an abort
 * signal, of which it makes one where something knows nothing else. The first reason counts.
 */

import type { ServingError } from './errors.ts';

export type OnCancel = (reason: ServingError) => void;

export class Cancellation {
  #reason: ServingError | undefined;
  #listeners: Set<OnCancel> | undefined;
  #controller: AbortController | undefined;

  /** Undefined: it goes on. */
  get reason(): ServingError | undefined {
    return this.#reason;
  }

  /** For what knows only signals. */
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

  /** Called at most once, and not for a cancellation that came before: see `reason`. */
  onCancel(listener: OnCancel): void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
  }

  off(listener: OnCancel): void {
    this.#listeners?.delete(listener);
  }
}

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
