/**
 * The body of a streamed answer. All that comes in one turn leaves in one write. A reader slower than the model is given
 * `bufferBytes` and then waited for, as long as it takes anything at all within `stalledMs`. Owns the body of the
 * response from the commit on.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { RequestContext } from './context.ts';

export interface StreamWriterOptions {
  readonly context: RequestContext;
  readonly clock: Clock;
  readonly contentType: string;
  readonly heartbeat: () => string;
  readonly heartbeatMs: Milliseconds;
  readonly bufferBytes: number;
  readonly stalledMs: Milliseconds;
  /** The reader has fallen behind: nothing more should be written until `onDrained`. */
  readonly onFull: () => void;
  readonly onDrained: () => void;
  /** The reader has stopped taking anything, and its connection was cut. */
  readonly onStalled: () => void;
}

const STREAM_HEADERS = ['cache-control', 'no-cache, no-transform', 'x-accel-buffering', 'no'];

export class StreamWriter {
  readonly #options: StreamWriterOptions;
  /** Written in this turn. */
  #pending = '';
  #committed = false;
  #heartbeat: Timer | undefined;
  #silentSince: Milliseconds;
  #stopped = false;
  /** While the reader is behind. */
  #stall: Timer | undefined;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#silentSince = options.clock.now();
  }

  /** The 200 is sent, or about to be; from here on failures are events. */
  get committed(): boolean {
    return this.#committed;
  }

  /** Starts the silence after which the stream commits and heartbeats begin. One timer, moved on lazily, not one per event. */
  start(): void {
    this.#silentSince = this.#options.clock.now();
    this.#wakeIn(this.#options.heartbeatMs);
  }

  /** Leaves at the end of this turn, or when it is as much as is kept for a slow reader. */
  write(text: string): void {
    if (!this.#committed) this.#commit();
    if (this.#pending === '') process.nextTick(this.#flush);
    this.#pending += text;
    if (this.#pending.length > this.#options.bufferBytes) this.#flush();
  }

  end(last: string): void {
    this.stop();
    const raw = this.#raw;
    const rest = this.#pending + last;
    this.#pending = '';
    // An answer that was cut off must not count as ended.
    if (raw.destroyed) return;
    if (!this.#committed) this.#commit();
    this.#options.context.end(rest);
    // What the reader has not taken yet is held no longer than while the stream ran.
    const watch = this.#watchStall(() => raw.destroy());
    this.#options.context.onClose(() => watch.cancel());
  }

  /** No heartbeats any more, and nobody who has to wait for the reader. */
  stop(): void {
    this.#stopped = true;
    this.#heartbeat?.cancel();
    this.#caughtUp();
  }

  get #raw() {
    return this.#options.context.response;
  }

  #wakeIn(delayMs: Milliseconds): void {
    this.#heartbeat = this.#options.clock.schedule(delayMs, () => {
      if (this.#stopped) return;
      const { clock, heartbeatMs, heartbeat } = this.#options;
      const leftMs = this.#silentSince + heartbeatMs - clock.now();
      if (leftMs > 0) {
        this.#wakeIn(leftMs);
        return;
      }
      if (this.#raw.writableLength === 0) this.write(heartbeat());
      this.start();
    });
  }

  readonly #flush = (): void => {
    const text = this.#pending;
    // It has left with the end.
    if (text === '') return;
    this.#pending = '';
    this.#silentSince = this.#options.clock.now();
    const raw = this.#raw;
    if (raw.destroyed) return;
    this.#options.context.write(text);
    // Below Node's own mark nothing tells when the buffer has emptied, so nothing may wait for it.
    if (raw.writableNeedDrain && raw.writableLength > this.#options.bufferBytes) this.#fellBehind();
  };

  #commit(): void {
    const { context, contentType } = this.#options;
    this.#committed = true;
    context.begin(200, ['content-type', contentType, ...STREAM_HEADERS]);
  }

  #fellBehind(): void {
    if (this.#stall !== undefined || this.#stopped) return;
    const raw = this.#raw;
    this.#stall = this.#watchStall(() => {
      this.#caughtUp();
      raw.destroy();
      this.#options.onStalled();
    });
    raw.on('drain', this.#onDrain);
    this.#options.context.onClose(this.#caughtUp);
    this.#options.onFull();
  }

  readonly #onDrain = (): void => {
    this.#caughtUp();
    this.#options.onDrained();
  };

  readonly #caughtUp = (): void => {
    if (this.#stall === undefined) return;
    this.#stall.cancel();
    this.#stall = undefined;
    this.#raw.off('drain', this.#onDrain);
    this.#options.context.offClose(this.#caughtUp);
  };

  /** Calls back when the reader has taken nothing at all for `stalledMs`; a slow one that still reads is no stall. */
  #watchStall(onStall: () => void): Timer {
    const { clock, stalledMs } = this.#options;
    const taken = () => this.#raw.socket?.bytesWritten ?? 0;
    let timer: Timer;
    const arm = (takenBefore: number) => {
      timer = clock.schedule(stalledMs, () => {
        const takenNow = taken();
        if (takenNow === takenBefore) onStall();
        else arm(takenNow);
      });
    };
    arm(taken());
    return { cancel: () => timer.cancel() };
  }
}
