/**
 * The load of one server: what we have sent there and, from its last report, what others have. A server may serve several models
 * of the configuration; they share this. A report is corrected by what was sent and what ended since: if only the report counted,
 * all requests until the next one would go to the server that had the least to do.
 * Invariant: `requests` and `tokens` are the sums over our requests that run there.
 */
import type { LoadReport } from '../core/backend.ts';

export class ServerLoad {
  /** Our requests that run there. */
  requests = 0;
  /** Estimated tokens of those. */
  tokens = 0;
  /** Requests at the server that are not ours, by the last report. */
  foreign = 0;
  #waiting = 0;
  #kvCacheUsed: number | undefined;
  /** Of ours, when the report came. */
  #requestsThen = 0;
  #tokensThen = 0;

  take(tokens: number): void {
    this.requests += 1;
    this.tokens += tokens;
  }

  giveBack(tokens: number): void {
    this.requests -= 1;
    this.tokens -= tokens;
  }

  /** Undefined: the server reports nothing any more. A report without `running` leaves `foreign` as it is known. */
  report(load: LoadReport | undefined): void {
    this.#requestsThen = this.requests;
    this.#tokensThen = this.tokens;
    this.#waiting = load?.waiting ?? 0;
    this.#kvCacheUsed = load?.kvCacheUsed;
    if (load === undefined) this.foreign = 0;
    if (load?.running !== undefined) this.foreign = Math.max(0, load.running + this.#waiting - this.requests);
  }

  /** Requests in the server's own queue. Of a server that has a queue, each further request makes it longer. */
  get waiting(): number {
    return this.#waiting === 0 ? 0 : Math.max(0, this.#waiting + this.requests - this.#requestsThen);
  }

  /** Part of its KV cache in use, 0 to 1: as reported, and in proportion to our tokens since. Undefined: not reported. */
  get kvCacheUsed(): number | undefined {
    const reported = this.#kvCacheUsed;
    if (reported === undefined || this.#tokensThen === 0) return reported;
    return Math.min(1, (reported * this.tokens) / this.#tokensThen);
  }
}
