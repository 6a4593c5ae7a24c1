/**
 * The line of requests whose answers read much of the database: reports of usage, lists of keys and of the audit log. No limit counts
 * them, so few run at the same time, few of one client wait, and clients take turns. Invariant: somebody waits only while MOST_AT_ONCE run.
 */
import { ServingError } from '../core/errors.ts';

const MOST_AT_ONCE = 2;
/** Running or waiting: a page of administrators asks for several at once. */
const MOST_OF_CLIENT = 4;
const MOST_OF_ALL = 64;

/** Administrators stand in a line of their own: callers that fill theirs keep nobody from looking who they are. */
export interface ReadingLines {
  readonly ofCallers: ReadingLine;
  readonly ofAdministrators: ReadingLine;
}

export class ReadingLine {
  /** Of each client, running or waiting. */
  readonly #counts = new Map<string, number>();
  /** Of each client that waits, those who have had no turn for the longest first. */
  readonly #waiting = new Map<string, (() => void)[]>();
  #running = 0;
  #all = 0;

  /** `client`: a key, or an address. Rejects as `read` does, or with a refusal. */
  async read<Result>(client: string, read: () => Promise<Result>): Promise<Result> {
    this.#admit(client);
    try {
      if (this.#running < MOST_AT_ONCE) this.#running += 1;
      else await this.#turnOf(client);
      try {
        return await read();
      } finally {
        this.#next();
      }
    } finally {
      this.#leave(client);
    }
  }

  #admit(client: string): void {
    const count = this.#counts.get(client) ?? 0;
    if (count >= MOST_OF_CLIENT)
      throw new ServingError('client_queue_full', {
        message: `${count} reports and lists of this client are being made. Ask again when one of them is there.`,
        retryAfterSeconds: 1,
      });
    if (this.#all >= MOST_OF_ALL)
      throw new ServingError('queue_full', {
        message: 'Too many reports and lists are being made. Ask again soon.',
        retryAfterSeconds: 1,
      });
    this.#counts.set(client, count + 1);
    this.#all += 1;
  }

  #leave(client: string): void {
    const count = this.#counts.get(client) ?? 0;
    if (count > 1) this.#counts.set(client, count - 1);
    else this.#counts.delete(client);
    this.#all -= 1;
  }

  #turnOf(client: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(client);
      if (waiting === undefined) this.#waiting.set(client, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** Hands the place on, or gives it back. */
  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#running -= 1;
      return;
    }
    const [client, [start, ...others]] = first;
    this.#waiting.delete(client);
    if (others.length > 0) this.#waiting.set(client, others);
    start?.();
  }
}
