/**
 * Writes lines to a file, pipe or terminal without blocking the event loop. The first line after a quiet while is written at the
 * end of its turn; those that follow are held back for a block, at most 250 ms, unless they are urgent. If the reader is slow, lines
 * are held up to a bound; those beyond it are dropped and counted.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';

/** The destination. */
export interface Output {
  /** Calls back once, with the number of bytes written. */
  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void;
  /** Blocks. Returns the number of bytes written, or throws. */
  writeSync(bytes: Buffer): number;
  /** Blocks for this long. */
  waitSync(forMs: Milliseconds): void;
}

interface BlockWriterOptions {
  readonly clock: Clock;
  readonly output: Output;
  /** Every line is written at the end of its turn, as a person at a terminal expects. */
  readonly immediate: boolean;
  /** The line that reports dropped lines, once the reader takes lines again; '' where they are reported elsewhere. */
  readonly dropNotice: (lines: number) => string;
  /** Lines that are written between those that were lost and the next ones, which need them. */
  readonly afterLoss?: () => string;
  /** At the end: so many lines were not written, and are reported by no notice. */
  readonly onLost?: (lines: number) => void;
}

/** Characters. */
const BLOCK_LENGTH = 32 * 1024;
/** Characters: some 10,000 request lines. */
const MAX_HELD_LENGTH = 4 * 1024 * 1024;
const HOLD_BACK_MS: Milliseconds = 250;
/** For a pipe whose reader is slow. */
const RETRY_AFTER_MS: Milliseconds = 20;
/** At the end, for a reader that reads nothing. */
const CLOSE_TIMEOUT_MS: Milliseconds = 500;
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'EBUSY', 'EINTR']);

export class BlockWriter {
  readonly #options: BlockWriterOptions;
  #held = '';
  #heldLines = 0;
  /** The block being written: bytes left, its length in characters, its lines with the dropped ones that its notice reports. */
  #block: { bytes: Buffer; readonly length: number; readonly lines: number } | undefined;
  /** The block being written waits for its reader. */
  #retry: Timer | undefined;
  /** Set while lines are held back for the next block. */
  #holdBack: Timer | undefined;
  #flushDue = false;
  /** What is held is written right after the block being written. */
  #flushNext = false;
  #dropped = 0;
  /** What is written next follows lines that were lost. */
  #followsLoss = false;
  #state: 'open' | 'closing' | 'ended' = 'open';
  #onEnded = () => {};

  constructor(options: BlockWriterOptions) {
    this.#options = options;
  }

  /** `line` ends with a line break; it may be several, which are written, or dropped, together. An urgent line is not held back. */
  write(line: string, urgent: boolean, lines = 1): void {
    if (this.#state !== 'open') return;
    if (this.#held.length + (this.#block?.length ?? 0) + line.length > MAX_HELD_LENGTH) {
      this.#dropped += lines;
      this.#followsLoss = true;
      return;
    }
    this.#held += this.#takeAfterLoss() + line;
    this.#heldLines += lines;
    if (this.#held.length >= BLOCK_LENGTH) this.#flush();
    else if (urgent || this.#options.immediate || this.#holdBack === undefined) this.#flushAtEndOfTurn();
    this.#startHoldBack();
  }

  /** Writes all that is held; later lines are dropped. Settles when all is written, or cannot be. */
  close(): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve();
    this.#state = 'closing';
    return new Promise((resolve) => {
      const limit = this.#options.clock.schedule(CLOSE_TIMEOUT_MS, () => this.#end());
      this.#onEnded = () => {
        limit.cancel();
        resolve();
      };
      this.#flush();
    });
  }

  /** For the very end of the process: the same, blocking. */
  closeSync(): void {
    if (this.#state === 'ended') return;
    // A block that the system is writing is left to it; one that waits for its reader is written here.
    const waiting = this.#retry === undefined ? undefined : this.#block;
    const lines = this.#heldLines + (waiting?.lines ?? 0);
    let bytes = Buffer.concat([
      waiting?.bytes ?? Buffer.alloc(0),
      Buffer.from(this.#held + this.#takeDropNotice()),
    ]);
    this.#heldLines = 0;
    this.#block = undefined;
    this.#end();
    const { output, onLost } = this.#options;
    for (let waitedMs = 0; bytes.length > 0 && waitedMs < CLOSE_TIMEOUT_MS; ) {
      try {
        bytes = bytes.subarray(output.writeSync(bytes));
      } catch (error) {
        if (!isBusy(error as NodeJS.ErrnoException)) break;
        output.waitSync(RETRY_AFTER_MS);
        waitedMs += RETRY_AFTER_MS;
      }
    }
    if (bytes.length > 0) onLost?.(lines);
  }

  #flushAtEndOfTurn(): void {
    if (this.#flushDue) return;
    this.#flushDue = true;
    this.#options.clock.atEndOfTurn(() => {
      this.#flushDue = false;
      this.#flush();
    });
  }

  #startHoldBack(): void {
    this.#holdBack ??= this.#options.clock.schedule(HOLD_BACK_MS, () => {
      this.#holdBack = undefined;
      if (this.#held === '' || this.#state !== 'open') return;
      this.#flush();
      this.#startHoldBack();
    });
  }

  #flush(): void {
    if (this.#state === 'ended') return;
    if (this.#block !== undefined) {
      this.#flushNext = true;
      return;
    }
    const dropped = this.#dropped;
    const notice = this.#takeDropNotice();
    const lines = this.#heldLines + (notice === '' ? 0 : dropped);
    const text = this.#held + notice;
    if (text === '') {
      if (this.#state === 'closing') this.#end();
      return;
    }
    this.#block = { bytes: Buffer.from(text), length: text.length, lines };
    this.#held = '';
    this.#heldLines = 0;
    this.#flushNext = false;
    this.#writeBlock(this.#block);
  }

  #writeBlock(block: { bytes: Buffer; readonly lines: number }): void {
    this.#options.output.write(block.bytes, (error, written) => {
      if (this.#state === 'ended') return;
      if (error && isBusy(error)) {
        this.#retry = this.#options.clock.schedule(RETRY_AFTER_MS, () => {
          this.#retry = undefined;
          this.#writeBlock(block);
        });
        return;
      }
      // The reader is gone for good.
      if (error?.code === 'EPIPE') return this.#end();
      // A full disk may have room again: later lines are tried.
      if (error) this.#lose(block.lines);
      else block.bytes = block.bytes.subarray(written);
      if (!error && block.bytes.length > 0) return this.#writeBlock(block);
      this.#block = undefined;
      if (error && this.#state === 'closing') return this.#end();
      if (this.#flushNext || this.#state === 'closing') this.#flush();
    });
  }

  /** With a block: what is held followed it. */
  #lose(lines: number): void {
    this.#dropped += lines;
    this.#followsLoss = true;
    if (this.#held !== '') this.#held = this.#takeAfterLoss() + this.#held;
  }

  #takeAfterLoss(): string {
    if (!this.#followsLoss) return '';
    this.#followsLoss = false;
    return this.#options.afterLoss?.() ?? '';
  }

  #takeDropNotice(): string {
    const lines = this.#dropped;
    this.#dropped = 0;
    return lines === 0 ? '' : this.#options.dropNotice(lines);
  }

  #end(): void {
    this.#state = 'ended';
    this.#retry?.cancel();
    this.#holdBack?.cancel();
    const lost = this.#dropped + this.#heldLines + (this.#block?.lines ?? 0);
    this.#dropped = 0;
    this.#held = '';
    this.#heldLines = 0;
    this.#block = undefined;
    if (lost > 0) this.#options.onLost?.(lost);
    this.#onEnded();
  }
}

function isBusy({ code = '' }: NodeJS.ErrnoException): boolean {
  return BUSY.has(code);
}
