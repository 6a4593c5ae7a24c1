/**
 * Bounds how long a backend may be silent: until its first token, then between tokens, or until a whole answer is there. Only
 * the time spent waiting for the backend counts, not the time its reader takes. One timer per request, moved on lazily, not
 * one per token.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationRequest } from '../core/generation.ts';

export interface SilenceLimits {
  readonly firstTokenTimeoutMs: Milliseconds;
  readonly idleTimeoutMs: Milliseconds;
}

/**
 * What reads calls out of an answer, or holds it to a format, may hold back all that the model writes meanwhile (vLLM's tool
 * parsers were silent for 41 s before a tool's name): between two tokens there may be as much time as before the first.
 */
export function silenceLimits(
  { tools, output }: Pick<GenerationRequest, 'tools' | 'output'>,
  { firstTokenTimeoutMs, idleTimeoutMs }: SilenceLimits,
): SilenceLimits {
  const mayHoldBack = output !== undefined || (tools !== undefined && tools.choice !== 'none');
  if (!mayHoldBack) return { firstTokenTimeoutMs, idleTimeoutMs };
  return { firstTokenTimeoutMs, idleTimeoutMs: Math.max(firstTokenTimeoutMs, idleTimeoutMs) };
}

export class ProgressWatch {
  readonly #clock: Clock;
  readonly #limits: SilenceLimits;
  readonly #onSilence: (error: ServingError) => void;
  #waitingSince: Milliseconds | undefined;
  /** Undefined: as long as the request may take. */
  #limitMs: Milliseconds | undefined;
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
    this.#arm();
  }

  /** Its reader has to catch up: the backend is not to blame for the silence. */
  paused(): void {
    this.#waitingSince = undefined;
  }

  /** The answer is asked for whole: it may take `limitMs`; undefined: as long as the request may. */
  expectWhole(limitMs: Milliseconds | undefined): void {
    this.stop();
    this.#limitMs = limitMs;
    if (this.#waitingSince !== undefined) this.waiting();
  }

  /** It has answered, and is waited for again; what follows a token may take `idleTimeoutMs`. */
  progressed(now: Milliseconds, { isToken }: { readonly isToken: boolean }): void {
    if (this.#waitingSince !== undefined) this.#waitingSince = now;
    if (!isToken) return;
    this.#limitMs = this.#limits.idleTimeoutMs;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Never later than the shorter limit, so that it need not be moved when that comes into force. */
  #arm(silentMs = 0): void {
    if (this.#timer !== undefined || this.#limitMs === undefined) return;
    const delayMs = Math.min(this.#limitMs - silentMs, this.#limits.idleTimeoutMs);
    this.#timer = this.#clock.schedule(delayMs, () => this.#check());
  }

  #check(): void {
    this.#timer = undefined;
    const limitMs = this.#limitMs;
    if (limitMs === undefined) return;
    const silentMs = this.#waitingSince === undefined ? 0 : this.#clock.now() - this.#waitingSince;
    if (silentMs < limitMs) {
      this.#arm(silentMs);
      return;
    }
    const seconds = Math.round(limitMs / 100) / 10;
    this.#onSilence(
      new ServingError('backend_error', {
        message: `The backend sent nothing for ${seconds} seconds and was given up.`,
      }),
    );
  }
}
