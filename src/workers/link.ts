/**
 * The way between the control process and one worker: messages in order, those of a turn in one write, times that both understand.
 * Invariant: all that the other end has said is heard before its end is told, whatever becomes of what is sent to it.
 */
import type { Readable, Writable } from 'node:stream';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { MessageReader, MessageWriter } from '../core/message-lines.ts';

const LAST_WORDS_WITHIN_MS: Milliseconds = 1000;

interface LinkOptions<Received> {
  /**
   * What the other end says, and what is sent to it: between processes a pipe for each, as Node throws away what it has not read of a
   * pipe when a write to it fails.
   */
  readonly input: Readable;
  readonly output: Writable;
  readonly clock: Clock;
  readonly onMessage: (message: Received) => void;
  /** The other end is gone; no message comes after it. */
  readonly onEnd: () => void;
}

export class Link<Sent, Received> {
  readonly #clock: Clock;
  readonly #output: Writable;
  readonly #writer: MessageWriter<Sent>;
  #isOpen = true;

  constructor({ input, output, clock, onMessage, onEnd }: LinkOptions<Received>) {
    this.#clock = clock;
    this.#output = output;
    this.#writer = new MessageWriter(clock, (line) => {
      if (this.#isOpen && output.writable) output.write(line);
    });
    const reader = new MessageReader<Received>((message) => {
      if (this.#isOpen) onMessage(message);
    });
    const end = () => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      onEnd();
    };
    input.setEncoding('utf8');
    input.on('data', (text: string) => this.#writer.holdWhile(() => reader.read(text)));
    // What is wrong with them does not matter: the process at their other end is gone, and `close` follows.
    input.on('error', () => {});
    output.on('error', () => {});
    input.on('close', end);
  }

  /** What the other end has not read, beyond what the pipe holds; what is sent in this turn is not in it yet. */
  get unsentBytes(): number {
    return this.#output.writableLength;
  }

  /** To an end that is gone, nothing is sent: `onEnd` has said so. */
  send(message: Sent): void {
    if (this.#isOpen) this.#writer.send(message);
  }

  /** Writes what was sent in this turn now. */
  flush(): void {
    if (this.#isOpen) this.#writer.flush();
  }

  /** Does not call `onEnd`. Resolves when all that was sent is in the pipe, however full that was, or cannot come there in a second. */
  close(): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    this.#writer.flush();
    this.#isOpen = false;
    if (this.#output.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.schedule(LAST_WORDS_WITHIN_MS, resolve);
      // Called with an error where the other end is gone.
      this.#output.end(() => {
        timer.cancel();
        resolve();
      });
    });
  }
}

/**
 * Times of this process's clock as times that all processes of the host share (CLOCK_MONOTONIC), and back. `hostNow`: of the host's
 * clock, in milliseconds.
 */
export class HostTime {
  readonly #offsetMs: Milliseconds;

  constructor(clock: Pick<Clock, 'now'>, hostNow: () => Milliseconds) {
    this.#offsetMs = hostNow() - clock.now();
  }

  toHost(time: Milliseconds): Milliseconds {
    return time + this.#offsetMs;
  }

  fromHost(time: Milliseconds): Milliseconds {
    return time - this.#offsetMs;
  }
}
