/**
 * A server in simulated time that shares its throughput among the requests that run there: for simulations of what decides about its
 * slots. Its curve gives tokens per second, of all requests together, by how many run; what it cannot run waits in its own queue.
 */
import type { LoadReport } from '../../src/core/backend.ts';

export interface ServiceCurve {
  /** Tokens per second of all together. */
  readonly throughput: (running: number) => number;
  /** Requests in its batch at most. */
  readonly maxRunning: number;
  /** What it reports of its KV cache; absent: it reports nothing. */
  readonly kvCacheUsed?: (running: number) => number;
}

interface Job {
  readonly id: number;
  readonly tokens: number;
  left: number;
  readonly sentAt: number;
  begunAt: number;
}

export interface Ended {
  readonly id: number;
  readonly tokens: number;
  readonly firstTokenMs: number;
}

export class SimulatedServer {
  curve: ServiceCurve;
  now = 0;
  #running: Job[] = [];
  #waiting: Job[] = [];

  constructor(curve: ServiceCurve) {
    this.curve = curve;
  }

  get load(): LoadReport {
    const { kvCacheUsed } = this.curve;
    const running = this.#running.length;
    return {
      running,
      waiting: this.#waiting.length,
      ...(kvCacheUsed && { kvCacheUsed: kvCacheUsed(running) }),
    };
  }

  send(id: number, tokens: number): void {
    this.#waiting.push({ id, tokens, left: tokens, sentAt: this.now, begunAt: 0 });
    this.#fill();
  }

  /** When the next request ends, if nothing is sent before. */
  get nextEnd(): number {
    const least = this.#running.reduce((left, job) => Math.min(left, job.left), Number.POSITIVE_INFINITY);
    return this.#running.length === 0 ? Number.POSITIVE_INFINITY : this.now + least / this.#rate();
  }

  /** To a time not after `nextEnd`; returns what has ended. */
  advance(to: number): Ended[] {
    const done = (to - this.now) * (this.#running.length === 0 ? 0 : this.#rate());
    this.now = to;
    const ended: Ended[] = [];
    const going: Job[] = [];
    for (const job of this.#running) {
      job.left -= done;
      if (job.left > 1e-6) going.push(job);
      else ended.push({ id: job.id, tokens: job.tokens, firstTokenMs: job.begunAt - job.sentAt + 50 });
    }
    this.#running = going;
    this.#fill();
    return ended;
  }

  /** Tokens per millisecond of one request. */
  #rate(): number {
    return this.curve.throughput(this.#running.length) / this.#running.length / 1000;
  }

  #fill(): void {
    while (this.#running.length < this.curve.maxRunning) {
      const job = this.#waiting.shift();
      if (job === undefined) return;
      job.begunAt = this.now;
      this.#running.push(job);
    }
  }
}
