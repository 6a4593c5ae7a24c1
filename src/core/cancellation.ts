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
