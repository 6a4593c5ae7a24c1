/**
 * Notices an engine that hangs: one that does not answer pings (its event loop is stuck, or the process is stopped), or
 * one that answers but makes no progress although it has work (a step or a load that never ends). Owns its one timer.
 * Silence is counted in pings, not in time, so that a pause of this very process or of the whole machine does not count
 * as silence of the engine. Invariant: `onHung` is called at most once for each `watch`, never before the limit.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';

/** An engine that hangs is noticed within a third more than the limit. */
const PINGS_PER_LIMIT = 10;

interface Watch {
  /** The longest silence. */
  readonly limitMs: Milliseconds;
  readonly hasWork: () => boolean;
  /** A clause on an engine without progress: "it finished no step". */
  readonly symptom: string;
}

interface WatchdogOptions {
  readonly clock: Clock;
  readonly ping: () => void;
  /** `how`: a clause. */
  readonly onHung: (how: string) => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  #timer: Timer | undefined;
  #answer: 'none' | 'awaited' | 'received' = 'none';
  #unansweredPings = 0;
  #progress = 0;
  #lastProgress = 0;
  #pingsWithoutProgress = 0;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Starts over, for a new process or for one that goes on to other work. */
  watch(watch: Watch): void {
    this.stop();
    this.#answer = 'none';
    this.#unansweredPings = 0;
    this.#pingsWithoutProgress = 0;
    this.#wait(watch);
  }

  /** The engine answered. */
  alive(progress: number): void {
    this.#answer = 'received';
    this.#progress = progress;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(watch: Watch): void {
    this.#timer = this.#options.clock.schedule(watch.limitMs / PINGS_PER_LIMIT, () => this.#check(watch));
  }

  #check(watch: Watch): void {
    if (this.#answer === 'awaited') this.#unansweredPings += 1;
    if (this.#answer === 'received') this.#checkProgress(watch);
    const seconds = `${watch.limitMs / 1000} s`;
    if (this.#unansweredPings >= PINGS_PER_LIMIT) {
      this.#hung(`it did not answer for ${seconds}`);
    } else if (this.#pingsWithoutProgress > PINGS_PER_LIMIT) {
      // More than the limit, since its work may have come just before the first of these pings.
      this.#hung(`${watch.symptom} for ${seconds}`);
    } else {
      this.#answer = 'awaited';
      this.#options.ping();
      this.#wait(watch);
    }
  }

  #checkProgress({ hasWork }: Watch): void {
    this.#unansweredPings = 0;
    const progressed = this.#progress !== this.#lastProgress;
    this.#lastProgress = this.#progress;
    this.#pingsWithoutProgress = progressed || !hasWork() ? 0 : this.#pingsWithoutProgress + 1;
  }

  #hung(how: string): void {
    this.stop();
    this.#options.onHung(how);
  }
}
