/**
 * The body of a streamed answer. One write per event; a reader slower than the model is given `bufferBytes` and then
 * waited for, at most `stalledMs`. Owns the reply's raw stream from the commit on.
 */
import type { FastifyReply } from 'fastify';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { stampHeaders } from './request-scope.ts';

export interface EventWriterOptions {
  readonly reply: FastifyReply;
  readonly clock: Clock;
  readonly contentType: string;
  readonly heartbeat: () => string;
  readonly heartbeatMs: Milliseconds;
  readonly bufferBytes: number;
  readonly stalledMs: Milliseconds;
  /** Of the request: who waits for a slow reader stops waiting when it aborts. */
  readonly signal: AbortSignal;
}

export class EventWriter {
  readonly #options: EventWriterOptions;
  #committed = false;
  #heartbeat: Timer | undefined;
  #silentSince: Milliseconds;
  #stopped = false;
  #draining: Promise<void> | undefined;

  constructor(options: EventWriterOptions) {
    this.#options = options;
    this.#silentSince = options.clock.now();
  }

  /** The 200 is sent; from here on failures are events. */
  get committed(): boolean {
    return this.#committed;
  }

  /** Starts the silence after which the stream commits and heartbeats begin. One timer, moved on lazily, not one per event. */
  start(): void {
    this.#silentSince = this.#options.clock.now();
    this.#wakeIn(this.#options.heartbeatMs);
  }

  /**
   * Writes one event. Undefined: the next may be written at once; else it settles when the reader has caught up, or throws
   * `client_gone` for one that has stalled or left, or the reason of the signal.
   */
  write(event: string): Promise<void> | undefined {
    this.#write(event);
    // Below Node's own mark nothing tells when the buffer has emptied, so nothing may wait for it.
    if (!this.#raw.writableNeedDrain || this.#raw.writableLength <= this.#options.bufferBytes)
      return undefined;
    this.#draining ??= this.#drained().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
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
      if (this.#raw.writableLength === 0) this.#write(heartbeat());
      this.start();
    });
  }

  end(last: string): void {
    this.stop();
    const raw = this.#raw;
    // An answer that was cut off must not count as ended.
    if (raw.destroyed) return;
    this.#write(last);
    raw.end();
    // What the reader has not taken yet is held no longer than while the stream ran.
    const watch = this.#watchStall(() => raw.destroy());
    raw.once('close', () => watch.cancel());
  }

  stop(): void {
    this.#stopped = true;
    this.#heartbeat?.cancel();
  }

  get #raw() {
    return this.#options.reply.raw;
  }

  #write(text: string): void {
    if (!this.#committed) this.#commit();
    this.#silentSince = this.#options.clock.now();
    if (!this.#raw.destroyed) this.#raw.write(text);
  }

  #commit(): void {
    const { reply, clock, contentType } = this.#options;
    this.#committed = true;
    stampHeaders(reply, clock);
    reply.header('Content-Type', contentType);
    reply.header('Cache-Control', 'no-cache, no-transform');
    reply.header('X-Accel-Buffering', 'no');
    // Taken over from the framework with every header that hooks have set so far.
    reply.hijack();
    reply.raw.writeHead(200, reply.getHeaders() as Record<string, string>);
  }

  async #drained(): Promise<void> {
    const raw = this.#raw;
    const { signal } = this.#options;
    if (raw.destroyed) throw new ServingError('client_gone');
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const settle = (outcome: () => void) => () => {
        watch.cancel();
        raw.off('drain', onDrain);
        raw.off('close', onClose);
        signal.removeEventListener('abort', onAbort);
        outcome();
      };
      const onAbort = settle(() => reject(signal.reason));
      const onDrain = settle(resolve);
      const onClose = settle(() => reject(new ServingError('client_gone')));
      const onStall = settle(() => {
        raw.destroy();
        reject(new ServingError('client_gone', { message: 'The client stopped reading.' }));
      });
      const watch = this.#watchStall(onStall);
      raw.on('drain', onDrain);
      raw.on('close', onClose);
      signal.addEventListener('abort', onAbort);
    });
  }

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
