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
  isRunning: boolean;
  isGone: boolean;
  /** At the server, before it runs. */
  waitedMs: Milliseconds;
}

export class SharedServer<Job extends ServedJob> {
  readonly slots: number;
  readonly #calendar: Calendar;
  readonly #onEnd: (job: Job, now: Milliseconds) => void;
  readonly #waiting: { readonly job: Job; readonly since: Milliseconds }[] = [];
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
    this.maxPresent = Math.max(this.maxPresent, this.#running + this.#waiting.length + 1);
    if (this.#running < this.slots) this.#run(job, now);
    else this.#waiting.push({ job, since: now });
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
    job.isRunning = true;
    this.#calendar.at(now + job.serviceMs, () => {
      if (job.isGone) return;
      this.#leave(job, now + job.serviceMs);
      this.#onEnd(job, now + job.serviceMs);
    });
  }

  #leave(job: Job, now: Milliseconds): void {
    job.isGone = true;
    if (!job.isOrphan) this.#counted -= 1;
    if (!job.isRunning) return;
    this.#running -= 1;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.job.isGone) continue;
      next.job.waitedMs = now - next.since;
      this.#run(next.job, now);
      return;
    }
  }
}
