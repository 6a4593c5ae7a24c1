/**
 * Writes the body of a streamed response. Everything that comes in one turn leaves in one write. A client that reads more slowly than
 * the model writes gets a buffer of `bufferBytes` and is then waited for, as long as it reads anything at all.
 */
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import type { RequestContext } from './context.ts';
import type { ReaderWatch } from './reader-watch.ts';

interface StreamWriterOptions {
  readonly context: RequestContext;
  readonly clock: Clock;
  readonly contentType: string;
  readonly heartbeat: () => string;
  readonly heartbeatMs: Milliseconds;
  readonly bufferBytes: number;
  /** The client has fallen behind: nothing more should be written until `onDrained`. */
  readonly onFull: () => void;
  readonly onDrained: () => void;
  /** The client has stopped reading, and its connection was closed. */
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
  /** Set while the client is behind. */
  #watch: ReaderWatch | undefined;

  constructor(options: StreamWriterOptions) {
    this.#options = options;
    this.#silentSince = options.clock.now();
  }

  /** The 200 has been sent, or is about to be; from here on failures are events. */
  get committed(): boolean {
    return this.#committed;
  }

  /** Begins the silence after which the stream commits and sends heartbeats. One timer, re-armed lazily, not one per event. */
  start(): void {
    if (this.#stopped) return;
    this.#silentSince = this.#options.clock.now();
    this.#wakeIn(this.#options.heartbeatMs);
  }

  /** Sent at the end of this turn, or when the buffer for a slow client is full. */
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
    // An answer that was cut off must not look complete.
    if (raw.destroyed) return;
    if (!this.#committed) this.#commit();
    this.#options.context.end(rest);
  }

  /** No more heartbeats, and no more waiting for the client. */
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
    // It was sent with the end.
    if (text === '') return;
    this.#pending = '';
    this.#silentSince = this.#options.clock.now();
    const raw = this.#raw;
    if (raw.destroyed) return;
    this.#options.context.write(text);
    // Below Node's own high-water mark there is no drain event to wait for.
    if (raw.writableNeedDrain && raw.writableLength > this.#options.bufferBytes) this.#fellBehind();
  };

  #commit(): void {
    const { context, contentType } = this.#options;
    this.#committed = true;
    context.begin(200, ['content-type', contentType, ...STREAM_HEADERS]);
  }

  #fellBehind(): void {
    if (this.#watch !== undefined || this.#stopped) return;
    const raw = this.#raw;
    this.#watch = this.#options.context.watchReader(() => {
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
    if (this.#watch === undefined) return;
    this.#watch.cancel();
    this.#watch = undefined;
    this.#raw.off('drain', this.#onDrain);
    this.#options.context.offClose(this.#caughtUp);
  };
}
