/**
 * Bounds how long a backend may be silent: until its first token, then between tokens. Only the time spent waiting
 * for the backend counts, not the time its reader takes. One timer per request, moved on lazily, not one per token.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';

export interface SilenceLimits {
  readonly firstTokenTimeoutMs: Milliseconds;
  readonly idleTimeoutMs: Milliseconds;
}

export class ProgressWatch {
  readonly #clock: Clock;
  readonly #limits: SilenceLimits;
  readonly #onSilence: (error: ServingError) => void;
  #waitingSince: Milliseconds | undefined;
  #limitMs: Milliseconds;
  #timer: Timer | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly limits: SilenceLimits;
    readonly onSilence: (error: ServingError) => void;
  }) {
    this.#clock = options.clock;
    this.#limits = options.limits;
    this.#onSilence = options.onSilence;
    this.#limitMs = options.limits.firstTokenTimeoutMs;
  }

  /** The backend is being waited for. */
  waiting(): void {
    this.#waitingSince = this.#clock.now();
    this.#timer ??= this.#clock.schedule(this.#limitMs, () => this.#check());
  }

  /** It answered; the next answer may take `idleTimeoutMs`. */
  answered(progress: { readonly isToken: boolean }): void {
    this.#waitingSince = undefined;
    if (!progress.isToken || this.#limitMs === this.#limits.idleTimeoutMs) return;
    this.#limitMs = this.#limits.idleTimeoutMs;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #check(): void {
    const silentMs = this.#waitingSince === undefined ? 0 : this.#clock.now() - this.#waitingSince;
    if (silentMs < this.#limitMs) {
      this.#timer = this.#clock.schedule(this.#limitMs - silentMs, () => this.#check());
      return;
    }
    this.#timer = undefined;
    const seconds = Math.round(this.#limitMs / 100) / 10;
    this.#onSilence(
      new ServingError('backend_error', {
        message: `The backend sent nothing for ${seconds} seconds and was given up.`,
      }),
    );
  }
}
