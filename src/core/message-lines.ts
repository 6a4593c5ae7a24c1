/**
 * Messages between two of our processes, over a stream of bytes: JSON, all messages of a turn of the event loop in one line and one
 * write. Neither side answers for the other's mistakes: both are of one version, started by one program.
 */
import type { Clock } from './clock.ts';

/** Invariant: messages go out in the order in which they were sent. */
export class MessageWriter<Message> {
  readonly #clock: Pick<Clock, 'atEndOfTurn'>;
  readonly #write: (line: string) => void;
  #waiting: Message[] = [];
  #isDue = false;

  constructor(clock: Pick<Clock, 'atEndOfTurn'>, write: (line: string) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  send(message: Message): void {
    this.#waiting.push(message);
    if (this.#isDue) return;
    this.#isDue = true;
    this.#clock.atEndOfTurn(this.#endOfTurn);
  }

  /** What `run` sends, and what is sent at the end of this turn because of it, goes in one write. */
  holdWhile(run: () => void): void {
    const isDueEarlier = this.#isDue;
    this.#isDue = true;
    try {
      run();
    } finally {
      // Behind everything that `run` has left for the end of the turn.
      if (!isDueEarlier) this.#clock.atEndOfTurn(this.#endOfTurn);
    }
  }

  readonly #endOfTurn = (): void => {
    this.#isDue = false;
    this.flush();
  };

  flush(): void {
    if (this.#waiting.length === 0) return;
    const messages = this.#waiting;
    this.#waiting = [];
    this.#write(`${JSON.stringify(messages)}\n`);
  }
}

export class MessageReader<Message> {
  readonly #take: (message: Message) => void;
  /** Pieces of a line that has not ended. */
  #pieces: string[] = [];

  constructor(take: (message: Message) => void) {
    this.#take = take;
  }

  /** Text as it comes; whole characters. */
  read(text: string): void {
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      this.#pieces.push(text.slice(from, end));
      const line = this.#pieces.length === 1 ? this.#pieces[0] : this.#pieces.join('');
      this.#pieces = [];
      from = end + 1;
      for (const message of JSON.parse(line ?? '[]') as Message[]) this.#take(message);
    }
    if (from < text.length) this.#pieces.push(text.slice(from));
  }
}
