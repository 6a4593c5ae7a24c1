/**
 * Sends exports to an OTLP receiver. It tries again as OTLP's specification wants it: after 429, 502, 503 and 504, and where no answer
 * came, after a growing pause, or a longer one that `Retry-After` has; any other status is final. The connections are otlp-connection.ts.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type Refused, readRefused } from './otlp-answer.ts';
import type { OtlpConnection } from './otlp-connection.ts';

interface SenderOptions {
  readonly connection: OtlpConnection;
  readonly clock: Clock;
  /** At least 0 and below 1. */
  readonly random: () => number;
}

/** For one export, with all its tries. */
const SEND_WITHIN_MS = 10_000;
const TRY_AGAIN: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 5000;
const PAUSE_GROWTH = 1.5;
const JITTER = 0.2;

/** `tries`: that have failed so far. */
export function pauseBeforeNextTry(tries: number, random: number): Milliseconds {
  const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * PAUSE_GROWTH ** (tries - 1));
  return pauseMs * (1 - JITTER + 2 * JITTER * random);
}

/** Of a `Retry-After` header, in seconds or as a date; undefined where there is none, or a wrong one. */
export function readRetryAfter(header: unknown, wallNow: Milliseconds): Milliseconds | undefined {
  if (typeof header !== 'string') return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = /^[a-z]/i.test(header) ? Date.parse(header) : Number.NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - wallNow);
}

type Outcome =
  | { readonly isTaken: true; readonly refused: Refused | undefined }
  | {
      readonly isTaken: false;
      readonly cause: string;
      readonly isFinal: boolean;
      readonly afterMs?: Milliseconds | undefined;
    };

export class OtlpSender {
  readonly #options: SenderOptions;
  #isClosed = false;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Resolves with what was refused of an export that was accepted. Rejects when it is lost: refused, or not taken in 10 seconds. */
  async send(spans: Uint8Array): Promise<Refused | undefined> {
    const { clock, random } = this.#options;
    const until = clock.now() + SEND_WITHIN_MS;
    for (let tries = 1; ; tries += 1) {
      const outcome = await this.#try(spans, until - clock.now());
      if (outcome.isTaken) return outcome.refused;
      // A `Retry-After` of 0, or of a clock that is late, is no reason to try without a pause.
      const pauseMs = Math.max(outcome.afterMs ?? 0, pauseBeforeNextTry(tries, random()));
      if (outcome.isFinal || this.#isClosed || clock.now() + pauseMs >= until) throw new Error(outcome.cause);
      await new Promise<void>((resolve) => clock.schedule(pauseMs, resolve));
    }
  }

  async #try(spans: Uint8Array, withinMs: Milliseconds): Promise<Outcome> {
    const { connection, clock } = this.#options;
    const limit = new AbortController();
    const timer = clock.schedule(withinMs, () =>
      limit.abort(new Error('the receiver did not answer in time')),
    );
    try {
      const answer = connection.post(spans, limit.signal);
      const { status, retryAfter, body } = await Promise.race([answer, abortOf(limit.signal)]);
      if (status >= 200 && status < 300) return { isTaken: true, refused: readRefused(body) };
      const afterMs = readRetryAfter(retryAfter, clock.wallNow());
      return { isTaken: false, cause: `status ${status}`, isFinal: !TRY_AGAIN.has(status), afterMs };
    } catch (thrown) {
      return { isTaken: false, cause: causeOf(thrown), isFinal: false };
    } finally {
      timer.cancel();
    }
  }

  /** What is under way fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#options.connection.close();
  }
}

/** Rejects with the signal's reason: undici does not look at the signal of a request that waits for a free connection. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

/** Node's error of several addresses has no text of its own. */
function causeOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(causeOf).join(', ');
  return thrown instanceof Error ? thrown.message : String(thrown);
}
