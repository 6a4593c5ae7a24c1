/**
 * Whether the control process answers, as a worker sees it. A worker that has sent something and hears nothing asks whether anybody is
 * there; where nothing comes for long, the control process is stopped or blocked. Invariant: it counts as silent only after so many of
 * this worker's own ticks in a row, so a worker that was stopped itself suspects nobody.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';

const TICK_MS: Milliseconds = 1000;
const SILENT_AFTER_TICKS = 5;
/** A link with so much unsent gets nothing more to ask: the control process reads too slowly, or not at all. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

interface ControlPulseOptions {
  readonly clock: Clock;
  readonly unsentBytes: () => number;
  /** Asks for a sign of life, which is answered at once. */
  readonly ask: () => void;
  readonly onChange: (isSilent: boolean) => void;
  /** Each second of silence. */
  readonly onSilentTick: () => void;
}

export class ControlPulse {
  readonly #options: ControlPulseOptions;
  #timer: Timer | undefined;
  #hasHeard = false;
  /** Something was sent after what was heard last. */
  #isAwaited = false;
  #hasAsked = false;
  #ticks = 0;

  constructor(options: ControlPulseOptions) {
    this.#options = options;
  }

  /** New requests are refused: nobody would decide about them. */
  get isStalled(): boolean {
    return this.#isSilent || this.#options.unsentBytes() > MAX_UNSENT_BYTES;
  }

  sent(): void {
    this.#isAwaited = true;
    this.#arm();
  }

  heard(): void {
    const wasSilent = this.#isSilent;
    this.#hasHeard = true;
    this.#isAwaited = false;
    this.#hasAsked = false;
    this.#ticks = 0;
    if (wasSilent) this.#options.onChange(false);
  }

  get #isSilent(): boolean {
    return this.#ticks >= SILENT_AFTER_TICKS;
  }

  #arm(): void {
    this.#timer ??= this.#options.clock.schedule(TICK_MS, () => this.#tick());
  }

  #tick(): void {
    const { ask, onChange, onSilentTick } = this.#options;
    this.#timer = undefined;
    if (!this.#isAwaited) {
      this.#hasHeard = false;
      return;
    }
    this.#ticks = this.#hasHeard ? 0 : this.#ticks + 1;
    this.#hasHeard = false;
    if (this.#ticks > 0 && !this.#hasAsked) {
      this.#hasAsked = true;
      ask();
    }
    this.#arm();
    if (this.#ticks === SILENT_AFTER_TICKS) onChange(true);
    if (this.#isSilent) onSilentTick();
  }
}
