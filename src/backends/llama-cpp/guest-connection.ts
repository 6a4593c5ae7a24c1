/**
 * The connection between an engine and a guest, at either end: messages in order, those of a turn in one write. Owns the socket.
 * Invariant: `onEnd` is called exactly once, and no message comes after it.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { MessageReader, MessageWriter } from '../../core/message-lines.ts';

interface GuestConnectionOptions<Received> {
  readonly socket: Socket;
  readonly clock: Pick<Clock, 'atEndOfTurn'>;
  readonly onMessage: (message: Received) => void;
  /** `error`: what was wrong with it, if anything was. */
  readonly onEnd: (error: Error | undefined) => void;
  /** The other end does not read what it is sent: from now on less should be. */
  readonly onSlow?: () => void;
  /** It has read all of it. */
  readonly onCaughtUp?: () => void;
}

/** Written and not taken by the kernel. At a thousand tokens a second, this is ten seconds without reading. */
export const MAX_UNREAD_BYTES = 1024 * 1024;

export class GuestConnection<Sent, Received> {
  readonly #socket: Socket;
  readonly #writer: MessageWriter<Sent>;
  #isOpen = true;

  constructor({ socket, clock, onMessage, onEnd, onSlow, onCaughtUp }: GuestConnectionOptions<Received>) {
    this.#socket = socket;
    let isSlow = false;
    this.#writer = new MessageWriter(clock, (line) => {
      if (!this.#isOpen) return;
      socket.write(line);
      if (isSlow || socket.writableLength <= MAX_UNREAD_BYTES) return;
      isSlow = true;
      onSlow?.();
    });
    const end = (error?: Error) => {
      if (!this.#isOpen) return;
      this.#isOpen = false;
      socket.destroy();
      onEnd(error);
    };
    const reader = new MessageReader<Received>((message) => {
      if (this.#isOpen) onMessage(message);
    });
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => {
      try {
        reader.read(text);
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        end(error);
      }
    });
    socket.on('drain', () => {
      if (isSlow) onCaughtUp?.();
      isSlow = false;
    });
    socket.on('error', end);
    socket.on('close', () => end());
  }

  /** To an end that is gone, nothing is sent: `onEnd` has said so. */
  send(message: Sent): void {
    if (this.#isOpen) this.#writer.send(message);
  }

  /** Ends it now. Does not call `onEnd`. */
  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }
}
