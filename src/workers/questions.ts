/**
 * Questions over a link, with one answer each. The asker owns what it has asked and not heard of yet; the other side answers by a table with
 * an entry for each question. Invariant: each question is settled exactly once: by its answer, by its time, or by the end of the link.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import type { Answer, Ask, Questions, SentError } from './view-messages.ts';

interface Asked {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: ServingError) => void;
  readonly timer: Timer;
}

/** Nobody has to wait longer for a process that may hang. */
const USUAL_WITHIN_MS: Milliseconds = 5000;

export class Asker<Table extends Questions<Table>> {
  readonly #clock: Clock;
  readonly #send: (ask: Ask<Table>) => void;
  readonly #mayAsk: () => boolean;
  readonly #asked = new Map<number, Asked>();
  #calls = 0;
  #isSilent = false;
  #isOver = false;

  /** `mayAsk`: false where no answer would come; absent: it may always. */
  constructor(options: {
    readonly clock: Clock;
    readonly send: (ask: Ask<Table>) => void;
    readonly mayAsk?: () => boolean;
  }) {
    this.#clock = options.clock;
    this.#send = options.send;
    this.#mayAsk = options.mayAsk ?? (() => true);
  }

  /** The other side has let the time of a question go by, and has said nothing since. */
  get isSilent(): boolean {
    return this.#isSilent;
  }

  /** So many are not answered yet. */
  get open(): number {
    return this.#asked.size;
  }

  /** Rejects with the error of the other side, or with `server_busy` where none comes in time. */
  ask<Name extends keyof Table & string>(
    question: Name,
    details: Table[Name]['details'],
    { withinMs = USUAL_WITHIN_MS }: { readonly withinMs?: Milliseconds } = {},
  ): Promise<Table[Name]['answer']> {
    return new Promise((resolve, reject) => {
      if (this.#isOver || !this.#mayAsk()) {
        reject(noAnswer());
        return;
      }
      this.#calls += 1;
      const call = this.#calls;
      const timer = this.#clock.schedule(withinMs, () => {
        this.#isSilent = true;
        this.#take(call)?.reject(noAnswer());
      });
      this.#asked.set(call, { resolve, reject, timer });
      this.#send({ type: 'ask', call, question, details });
    });
  }

  /** One that comes too late says nothing to anybody. */
  receive({ call, answer, failed }: Answer): void {
    this.#isSilent = false;
    const asked = this.#take(call);
    if (failed === undefined) asked?.resolve(answer);
    else asked?.reject(receivedError(failed));
  }

  /** The other side is gone. */
  end(): void {
    this.#isOver = true;
    for (const call of [...this.#asked.keys()]) this.#take(call)?.reject(noAnswer());
  }

  #take(call: number): Asked | undefined {
    const asked = this.#asked.get(call);
    this.#asked.delete(call);
    asked?.timer.cancel();
    return asked;
  }
}

/** How each question is answered, now or later. */
export type Answers<Table extends Questions<Table>> = {
  readonly [Name in keyof Table]: (
    details: Table[Name]['details'],
  ) => Table[Name]['answer'] | Promise<Table[Name]['answer']>;
};

/** Never throws: what is thrown is the answer. */
export async function answer<Table extends Questions<Table>>(
  { call, question, details }: Ask<Table>,
  answers: Answers<Table>,
  send: (answer: Answer) => void,
): Promise<void> {
  try {
    send({ type: 'answer', call, answer: await answers[question](details as never) });
  } catch (error) {
    send({ type: 'answer', call, failed: sentError(error) });
  }
}

/** Of a question that could not be answered. */
export function unanswered(call: number): Answer {
  return { type: 'answer', call, failed: sentError(noAnswer()) };
}

function noAnswer(): ServingError {
  return new ServingError('server_busy', {
    message: 'A part of the server did not answer in time. Ask again.',
    retryAfterSeconds: 1,
  });
}

function sentError(error: unknown): SentError {
  const { code, message, retryAfterSeconds, cause } = toServingError(error);
  const text = cause instanceof Error ? (cause.stack ?? cause.message) : undefined;
  return { code, message, retryAfterSeconds, cause: text };
}

function receivedError({ code, message, retryAfterSeconds, cause }: SentError): ServingError {
  return new ServingError(code, {
    message,
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(cause !== undefined && { cause }),
  });
}
