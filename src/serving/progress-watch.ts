/**
 * Limits how long a backend may be silent: until its first token, then between tokens, or until a whole answer is there. Only the
 * time spent waiting for the backend counts, not the time that the client takes to read. One timer per request, re-armed
 * lazily, not one per token.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { GenerationRequest } from '../core/generation.ts';

interface SilenceLimits {
  readonly firstTokenTimeoutMs: Milliseconds;
  readonly idleTimeoutMs: Milliseconds;
}

/**
 * A server that parses tool calls or enforces a format may hold back everything that the model writes meanwhile (vLLM's tool
 * parsers were silent for 41 s before a tool's name), so the gap between two tokens may be as long as the wait for the first.
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
  /** Undefined: only the request's own time limit counts. */
  #limitMs: Milliseconds | undefined;
  #timer: Timer | undefined;
  #hasToken = false;

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

  /** From now on the backend is being waited for. */
  waiting(): void {
    this.#waitingSince = this.#clock.now();
    this.#arm();
  }

  /** The client has to catch up: the backend is not to blame for the silence. */
  paused(): void {
    this.#waitingSince = undefined;
  }

  /** The answer is not streamed: it may take `limitMs`; undefined: only the request's own time limit counts. */
  expectWhole(limitMs: Milliseconds | undefined): void {
    this.stop();
    this.#limitMs = limitMs;
    if (this.#waitingSince !== undefined) this.waiting();
  }

  /** The backend has sent something and is waited for again; after a token, for `idleTimeoutMs`. */
  progressed(now: Milliseconds, { isToken }: { readonly isToken: boolean }): void {
    if (this.#waitingSince !== undefined) this.#waitingSince = now;
    if (!isToken) return;
    this.#hasToken = true;
    this.#limitMs = this.#limits.idleTimeoutMs;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** Never set for longer than the shorter limit, so it need not be moved when that one applies. */
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
        message: `The backend sent nothing for ${seconds} seconds, so the request was aborted.`,
        failure: this.#hasToken ? 'stalled' : 'first_token_timeout',
      }),
    );
  }
}
