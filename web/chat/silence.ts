/**
 * What may rightly be silent for long, as a model that reads a long prompt, and may also have lost its other end without a word: after
 * each while of silence somebody asks whether that is still there. Time comes in as a timer, the question as a function.
 */

export interface Silence {
  readonly afterMs: number;
  readonly isThere: () => Promise<boolean>;
  /** Called once. */
  readonly onGone: () => void;
}

/** One question may fail for another reason, as where the network has just come back. */
const FAILURES_UNTIL_GONE = 2;

export class SilenceWatch {
  readonly #silence: Silence;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #ended = false;
  /** Counts what was heard: an answer to a question that was asked before is too late. */
  #heard = 0;

  constructor(silence: Silence) {
    this.#silence = silence;
    this.#wait();
  }

  heard(): void {
    this.#heard += 1;
    this.#failures = 0;
    if (!this.#ended) this.#wait();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), this.#silence.afterMs);
  }

  async #ask(): Promise<void> {
    const before = this.#heard;
    const isThere = await this.#silence.isThere();
    if (this.#ended || this.#heard !== before) return;
    this.#failures = isThere ? 0 : this.#failures + 1;
    if (this.#failures < FAILURES_UNTIL_GONE) {
      this.#wait();
      return;
    }
    this.end();
    this.#silence.onGone();
  }
}
