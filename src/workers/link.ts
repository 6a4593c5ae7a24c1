/** The way between the control process and one worker: messages in order, those of a turn in one write, times that both understand. */
import type { Duplex } from 'node:stream';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { MessageReader, MessageWriter } from '../core/message-lines.ts';

interface LinkOptions<Received> {
  /** A pipe between processes. */
  readonly socket: Duplex;
  readonly clock: Clock;
  readonly onMessage: (message: Received) => void;
  /** The other end is gone; no message comes after it. */
  readonly onEnd: () => void;
}

export class Link<Sent, Received> {
  readonly #socket: Duplex;
  readonly #writer: MessageWriter<Sent>;
  #isOpen = true;

  constructor({ socket, clock, onMessage, onEnd }: LinkOptions<Received>) {
    this.#socket = socket;
    this.#writer = new MessageWriter(clock, (line) => {
      if (this.#isOpen) socket.write(line);
    });
    const reader = new MessageReader<Received>((message) => {
      if (this.#isOpen) onMessage(message);
    });
    const end = () => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      onEnd();
    };
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#writer.holdWhile(() => reader.read(text)));
    // What is wrong with it does not matter: the process at its other end is gone.
    socket.on('error', end);
    socket.on('close', end);
  }

  /** What the other end has not read, beyond what the pipe holds; what is sent in this turn is not in it yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** To an end that is gone, nothing is sent: `onEnd` has said so. */
  send(message: Sent): void {
    if (this.#isOpen) this.#writer.send(message);
  }

  /** Writes what was sent in this turn now. */
  flush(): void {
    if (this.#isOpen) this.#writer.flush();
  }

  /** Does not call `onEnd`. */
  close(): void {
    if (!this.#isOpen) return;
    this.#writer.flush();
    this.#isOpen = false;
    this.#socket.end();
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
