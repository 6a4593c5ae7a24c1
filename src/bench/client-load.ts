/** What this process costs while it measures: a client that is too slow measures itself. */
import { quantile } from '../core/quantile.ts';
import type { ClientLoad } from './measures.ts';

const EVERY_MS = 20;

export class ClientLoadMeter {
  readonly #beganAt = performance.now();
  readonly #cpu = process.cpuUsage();
  readonly #lateMs: number[] = [];
  readonly #timer: NodeJS.Timeout;

  /** Measures from now on, and keeps the process alive until it is stopped. */
  constructor() {
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#lateMs.push(Math.max(0, now - last - EVERY_MS));
      last = now;
    }, EVERY_MS);
  }

  /** Ends the measurement. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Since the beginning. */
  load(): ClientLoad {
    const { user, system } = process.cpuUsage(this.#cpu);
    const microseconds = (performance.now() - this.#beganAt) * 1000;
    return {
      cpuShare: (user + system) / microseconds,
      loopLagP99Ms: this.#lateMs.length === 0 ? 0 : quantile(Float64Array.from(this.#lateMs).sort(), 0.99),
    };
  }
}
