/**
 * Notices an engine that hangs: one that does not answer pings (its event loop is stuck, or the process is stopped), or
 * one that answers but gets nowhere although it has work (a step or a load that never ends). Owns its one timer.
 * Silence is counted in pings rather than in time, so that a pause of this very process, or of the whole machine, is
 * no silence of the engine. Invariant: `onHung` is called at most once for each `watch`, never before the limit.
 */
import type { Clock, Milliseconds, Timer } from '../../core/clock.ts';

/** Of a limit; so an engine that hangs is noticed within a third more than that. */
const PINGS_PER_LIMIT = 10;

export interface Watch {
  /** The longest silence. */
  readonly limitMs: Milliseconds;
  readonly hasWork: () => boolean;
  /** What an engine that gets nowhere does not do: "it finished no step". */
  readonly idleness: string;
}

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly ping: () => void;
  /** One clause on what was seen. */
  readonly onHung: (how: string) => void;
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  #timer: Timer | undefined;
  #answer: 'none wanted' | 'awaited' | 'here' = 'none wanted';
  #unansweredPings = 0;
  #progress = 0;
  #progressSeen = 0;
  #fruitlessPings = 0;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Begins anew: a process that was started, or one that goes over to other work. */
  watch(watch: Watch): void {
    this.stop();
    this.#answer = 'none wanted';
    this.#unansweredPings = 0;
    this.#fruitlessPings = 0;
    this.#wait(watch);
  }

  /** The engine answered. */
  alive(progress: number): void {
    this.#answer = 'here';
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
    if (this.#answer === 'here') this.#judge(watch);
    const seconds = `${watch.limitMs / 1000} s`;
    if (this.#unansweredPings >= PINGS_PER_LIMIT) {
      this.#hung(`it did not answer for ${seconds}`);
    } else if (this.#fruitlessPings > PINGS_PER_LIMIT) {
      // One more than that: its work may have come just before the first of them.
      this.#hung(`${watch.idleness} for ${seconds}`);
    } else {
      this.#answer = 'awaited';
      this.#options.ping();
      this.#wait(watch);
    }
  }

  #judge({ hasWork }: Watch): void {
    this.#unansweredPings = 0;
    const gotSomewhere = this.#progress !== this.#progressSeen;
    this.#progressSeen = this.#progress;
    this.#fruitlessPings = gotSomewhere || !hasWork() ? 0 : this.#fruitlessPings + 1;
  }

  #hung(how: string): void {
    this.stop();
    this.#options.onHung(how);
  }
}
