/**
 * One try at one source: a signal that aborts with the caller's, or when nothing has moved for too long.
 * Owns its timer and its listener; `end` must run on every path.
 */
export class Attempt {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #caller: AbortSignal;
  readonly #onCallerAbort = () => this.#controller.abort(this.#caller.reason);

  constructor(caller: AbortSignal, silenceMs: number) {
    this.signal = this.#controller.signal;
    this.#caller = caller;
    this.#timer = setTimeout(() => {
      this.#controller.abort(new Error(`nothing came for ${silenceMs / 1000} s`));
    }, silenceMs);
    if (caller.aborted) this.#onCallerAbort();
    else caller.addEventListener('abort', this.#onCallerAbort, { once: true });
  }

  /** Something moved: the silence starts anew. */
  progressed(): void {
    this.#timer.refresh();
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#caller.removeEventListener('abort', this.#onCallerAbort);
  }
}
