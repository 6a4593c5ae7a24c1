/** Tells one waiting caller its place in the queue: once it is accepted, then when it changes, at most once a second, and 0 when it leaves for a slot. */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { QueuePlace } from '../core/receipt.ts';

const REPORT_EVERY_MS: Milliseconds = 1000;

export interface PlaceReportsOptions {
  readonly clock: Clock;
  /** Undefined once the entry has left the queue. */
  readonly read: () => QueuePlace | undefined;
  readonly tell: (place: QueuePlace) => void;
}

export class PlaceReports {
  readonly #options: PlaceReportsOptions;
  #told: QueuePlace | undefined;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(options: PlaceReportsOptions) {
    this.#options = options;
    // After the tick of this turn, which decides whether the entry is accepted at all.
    options.clock.atEndOfTurn(() => this.#report());
  }

  granted(): void {
    this.stop();
    this.#options.tell({ position: 0, etaMs: 0 });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #report(): void {
    const place = this.#stopped ? undefined : this.#options.read();
    if (!place) return;
    if (place.position !== this.#told?.position || place.etaMs !== this.#told.etaMs)
      this.#options.tell(place);
    this.#told = place;
    this.#timer = this.#options.clock.schedule(REPORT_EVERY_MS, () => this.#report());
  }
}
