/**
 * The metrics of all processes of a server, as one page. Asks the others when the page is asked for; one that does not answer counts as
 * it was last read. As long as somebody scrapes, they are also read in between: what a process that dies has counted since it was last
 * read is lost, so that is little.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { SharedAnswer } from '../core/shared-answer.ts';
import { ProcessSum, type ReadFamily, readFamilies } from './process-sum.ts';
import { exposition, type MetricFamily } from './prometheus.ts';

interface GatheredMetricsOptions {
  readonly clock: Clock;
  /** Of this process. */
  readonly own: { read(): readonly MetricFamily[] };
  /** Calls `set` for each process that answers; resolves when all have, or have had their time. */
  readonly askOthers: (set: (process: string, families: readonly ReadFamily[]) => void) => Promise<void>;
}

const READ_EVERY_MS: Milliseconds = 2000;
/** Since the last scrape; whoever comes back later has lost no more than what died meanwhile. */
const READ_FOR_MS: Milliseconds = 300_000;
const OWN_NAME = 'control';

export class GatheredMetrics {
  readonly #options: GatheredMetricsOptions;
  readonly #sum = new ProcessSum();
  readonly #page = new SharedAnswer(() => this.#makePage());
  #scrapedAt: Milliseconds = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(options: GatheredMetricsOptions) {
    this.#options = options;
    this.#timer = undefined;
    // Its families come first.
    this.#sum.set(OWN_NAME, []);
  }

  /** What `GET /metrics` answers. */
  text(): Promise<string> {
    this.#scrapedAt = this.#options.clock.now();
    return this.#page.get();
  }

  async #makePage(): Promise<string> {
    const { own } = this.#options;
    await this.#read();
    this.#sum.set(OWN_NAME, readFamilies(own.read()));
    return exposition(this.#sum.families());
  }

  /** It has ended: what it had counted when it was last read stays counted. */
  ended(process: string): void {
    this.#sum.end(process);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  async #read(): Promise<void> {
    await this.#options.askOthers((process, families) => this.#sum.set(process, families.map(received)));
    if (this.#isClosed) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.schedule(READ_EVERY_MS, () => {
      if (this.#options.clock.now() - this.#scrapedAt < READ_FOR_MS) void this.#read();
    });
  }
}

/** JSON has no word for a value that is no number. */
function received(family: ReadFamily): ReadFamily {
  const samples = family.samples.map((sample) => {
    const value: number | null = sample.value;
    return value === null ? { ...sample, value: Number.NaN } : sample;
  });
  return { ...family, samples };
}
