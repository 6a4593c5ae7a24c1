/**
 * The line of requests whose answers read much of the database: reports of usage, lists of keys and of the audit log. No limit counts
 * them, so they are read one after the other, as the database would anyway, few of one client wait, and clients take turns. Who leaves
 * while it waits is not read for. Invariant: somebody waits only while another reading runs.
 */
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { ClientPlaces } from './client-places.ts';
import type { RequestContext } from './context.ts';

/** Of a client whose time is limited: so much at once, and that part of the time over and over. */
const MOST_READING_MS: Milliseconds = 5000;
const SHARE_OF_TIME = 0.1;
/** Clients whose time is kept before those are looked for that have all of it again. */
const TIMES_KEPT = 1000;

/** Administrators stand in a line of their own: callers that fill theirs keep nobody from looking who they are. */
export interface ReadingLines {
  readonly ofCallers: ReadingLine;
  readonly ofAdministrators: ReadingLine;
}

/** Who waits, and may leave. */
export type Reader = Pick<RequestContext, 'client' | 'isClosed' | 'onClose' | 'offClose'>;

interface Waiting {
  readonly start: () => void;
}

/** Reading time that counts against a client; it becomes less by SHARE_OF_TIME of the time that passes. */
interface TakenTime {
  ms: Milliseconds;
  at: Milliseconds;
}

export class ReadingLine {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #limitsTime: boolean;
  /** Of those that run or wait: a page of administrators asks for several at once. */
  readonly #places = new ClientPlaces({
    mostOfClient: 4,
    mostOfAll: 64,
    clientIsFull: (count) =>
      `${count} reports and lists of this client are being made. Ask again when one of them is there.`,
    allAreTaken: 'Too many reports and lists are being made. Ask again soon.',
  });
  /** Of each client that waits, those who have had no turn for the longest first. */
  readonly #waiting = new Map<string, readonly Waiting[]>();
  readonly #taken = new Map<string, TakenTime>();
  #isReading = false;

  /** `limitsTime`: no client keeps the database busy by asking again and again. */
  constructor(clock: Pick<Clock, 'now'>, { limitsTime }: { readonly limitsTime: boolean }) {
    this.#clock = clock;
    this.#limitsTime = limitsTime;
  }

  /** Rejects as `read` does, with a refusal, or with `client_gone` where the reader has left before its turn. */
  async read<Result>(reader: Reader, read: () => Promise<Result>): Promise<Result> {
    const { client } = reader;
    this.#admit(client);
    try {
      if (this.#isReading) await this.#turnOf(reader);
      this.#isReading = true;
      const startedAt = this.#clock.now();
      try {
        const result = await read();
        this.#took(client, this.#clock.now() - startedAt);
        return result;
      } finally {
        this.#next();
      }
    } finally {
      this.#places.leave(client);
    }
  }

  #admit(client: string): void {
    const excessMs = this.#takenMs(client) - MOST_READING_MS;
    if (excessMs > 0)
      throw new ServingError('client_queue_full', {
        message: `Reports and lists of this client have kept the database busy for more than ${MOST_READING_MS / 1000} seconds. Ask less often, or for a shorter time.`,
        retryAfterSeconds: Math.ceil(excessMs / SHARE_OF_TIME / 1000),
      });
    this.#places.take(client);
  }

  #turnOf(reader: Reader): Promise<void> {
    const { client } = reader;
    return new Promise((resolve, reject) => {
      if (reader.isClosed) {
        reject(new ServingError('client_gone'));
        return;
      }
      const waiting: Waiting = {
        start: () => {
          reader.offClose(onClose);
          resolve();
        },
      };
      const onClose = () => {
        const others = (this.#waiting.get(client) ?? []).filter((other) => other !== waiting);
        if (others.length > 0) this.#waiting.set(client, others);
        else this.#waiting.delete(client);
        reject(new ServingError('client_gone'));
      };
      reader.onClose(onClose);
      this.#waiting.set(client, [...(this.#waiting.get(client) ?? []), waiting]);
    });
  }

  /** Hands the place on, or gives it back. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#isReading = false;
      return;
    }
    const [client, [next, ...others]] = first;
    this.#waiting.delete(client);
    if (others.length > 0) this.#waiting.set(client, others);
    next?.start();
  }

  #takenMs(client: string): Milliseconds {
    const taken = this.#taken.get(client);
    return taken === undefined ? 0 : this.#leftOf(taken);
  }

  #leftOf({ ms, at }: TakenTime): Milliseconds {
    return Math.max(0, ms - (this.#clock.now() - at) * SHARE_OF_TIME);
  }

  #took(client: string, readingMs: Milliseconds): void {
    if (!this.#limitsTime) return;
    const at = this.#clock.now();
    this.#taken.set(client, { ms: this.#takenMs(client) + readingMs, at });
    if (this.#taken.size <= TIMES_KEPT) return;
    for (const [other, taken] of this.#taken) if (this.#leftOf(taken) === 0) this.#taken.delete(other);
  }
}
