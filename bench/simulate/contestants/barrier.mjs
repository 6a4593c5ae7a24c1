// The batcher that asyncio.gather invites: collects as many as there are slots, for WINDOW_MS at most, starts all of
// them and waits until all have ended before it collects the next batch. Whoever gives up while waiting is dropped.
import { MAX_QUEUE } from './fifo.mjs';

export const WINDOW_MS = 50;

export function barrier(backend) {
  return new Barrier(backend);
}

class Barrier {
  #slots;
  /** In the order of arrival; each with the moment of its arrival. */
  #queue = new Map();
  #refused = [];
  /** When the batch began to be collected: the first of it has arrived and the one before it is done. */
  #collectingSince;
  running = 0;

  constructor({ slots }) {
    this.#slots = slots;
  }

  get waiting() {
    return this.#queue.size;
  }

  arrive(job, now) {
    if (this.#queue.size >= MAX_QUEUE) this.#refused.push({ job, code: 'queue_full' });
    else this.#queue.set(job, now);
    this.#collect(now);
  }

  /** Its client left while it waited. */
  leave(job) {
    this.#queue.delete(job);
    if (this.#queue.size === 0) this.#collectingSince = undefined;
  }

  ended(_job, _settlement, now) {
    this.running -= 1;
    this.#collect(now);
  }

  decide(now) {
    const rejected = this.#refused;
    this.#refused = [];
    const started = this.#isDue(now) ? [...this.#queue.keys()].slice(0, this.#slots) : [];
    for (const job of started) this.#queue.delete(job);
    this.running += started.length;
    if (started.length > 0) this.#collectingSince = undefined;
    return { started, rejected };
  }

  nextWakeAt() {
    return this.#collectingSince === undefined ? undefined : this.#collectingSince + WINDOW_MS;
  }

  #isDue(now) {
    if (this.#collectingSince === undefined) return false;
    return this.#queue.size >= this.#slots || now >= this.#collectingSince + WINDOW_MS;
  }

  #collect(now) {
    if (this.running === 0 && this.#queue.size > 0) this.#collectingSince ??= now;
  }
}
