/**
 * A model server that several replicas ask: it runs as many requests as it has slots, and keeps the others in a queue of its own that
 * nobody can reorder. Counts by itself what the replicas let in.
 */
import type { Milliseconds } from '../../core/clock.ts';
import type { Calendar } from './calendar.ts';

export interface ServedJob {
  readonly tokens: number;
  readonly serviceMs: Milliseconds;
  /** It was let in by a replica whose lease has ended meanwhile: its slot may be another one's by now. */
  isOrphan: boolean;
  isGone: boolean;
  /** At the server, before it runs. */
  waitedMs: Milliseconds;
}

export class SharedServer<Job extends ServedJob> {
  readonly slots: number;
  readonly #calendar: Calendar;
  readonly #onEnd: (job: Job, now: Milliseconds) => void;
  /** Since when; in the order in which they came. */
  readonly #waiting = new Map<Job, Milliseconds>();
  #running = 0;
  #counted = 0;
  overAdmissions = 0;
  /** The most requests at a time, its queue included. */
  maxPresent = 0;

  constructor(slots: number, calendar: Calendar, onEnd: (job: Job, now: Milliseconds) => void) {
    this.slots = slots;
    this.#calendar = calendar;
    this.#onEnd = onEnd;
  }

  start(job: Job, now: Milliseconds): void {
    if (this.#counted >= this.slots) this.overAdmissions += 1;
    this.#counted += 1;
    this.maxPresent = Math.max(this.maxPresent, this.#running + this.#waiting.size + 1);
    if (this.#running < this.slots) this.#run(job, now);
    else this.#waiting.set(job, now);
  }

  orphan(job: Job): void {
    if (job.isOrphan || job.isGone) return;
    job.isOrphan = true;
    this.#counted -= 1;
  }

  /** Its connection is gone: it ends at once, and nobody gets its answer. */
  abandon(job: Job, now: Milliseconds): void {
    if (!job.isGone) this.#leave(job, now);
  }

  #run(job: Job, now: Milliseconds): void {
    this.#running += 1;
    this.#calendar.at(now + job.serviceMs, () => {
      if (job.isGone) return;
      this.#leave(job, now + job.serviceMs);
      this.#onEnd(job, now + job.serviceMs);
    });
  }

  #leave(job: Job, now: Milliseconds): void {
    job.isGone = true;
    if (!job.isOrphan) this.#counted -= 1;
    if (this.#waiting.delete(job)) return;
    this.#running -= 1;
    const first = this.#waiting.entries().next();
    if (first.done === true) return;
    const [next, since] = first.value;
    this.#waiting.delete(next);
    next.waitedMs = now - since;
    this.#run(next, now);
  }
}
