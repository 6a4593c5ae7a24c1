/**
 * One request to an upstream and its response, over undici's dispatch interface (no streams in between). It owns the
 * socket's fate: an abort rejects what is pending at once with its reason, and destroys the socket.
 */
import type { Dispatcher } from 'undici';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { HeldWork } from '../core/sink.ts';
import type { Connection, InFlight } from './connection.ts';
import { networkError } from './failures.ts';
import type { ResponseHeaders } from './untyped.ts';

interface Pending<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

/** How long a connection may take to finish a response whose reader has all it needs, so that it can be reused. */
const LINGER_MS = 1000;
/** A server that had closed the connection resets it as soon as the request arrives. One that fails later may have begun. */
const LOST_WITHIN_MS = 1000;

export class Exchange implements Dispatcher.DispatchHandler, HeldWork {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #opened: Pending<Exchange>;
  /** The connection may carry the next request. */
  readonly #onFree: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #buffered: Buffer[] = [];
  #onChunk: ((chunk: Buffer) => void) | undefined;
  #reading: Pending<void> | undefined;
  #outcome: { readonly error?: unknown } | undefined;
  #linger: Timer | undefined;
  #inFlight: InFlight | undefined;
  #sentAt: Milliseconds = 0;
  #isPaused = false;
  /** The server had closed the connection before the request arrived: the request may be sent once more. */
  wasLost = false;
  status = 0;
  headers: ResponseHeaders = {};

  constructor(options: {
    readonly clock: Clock;
    readonly connection: Connection;
    readonly opened: Pending<Exchange>;
    readonly onFree: () => void;
  }) {
    this.#clock = options.clock;
    this.#connection = options.connection;
    this.#opened = options.opened;
    this.#onFree = options.onFree;
  }

  /** Passes the body to `onChunk`; resolves at its end or at `finish()`. What `onChunk` throws ends it. To be called once. */
  read(onChunk: (chunk: Buffer) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onChunk = onChunk;
      this.#reading = { resolve, reject };
      const buffered = this.#buffered;
      this.#buffered = [];
      for (const chunk of buffered) this.#deliver(chunk);
      if (this.#outcome !== undefined) this.#settle(this.#outcome);
    });
  }

  /** The reader has what it needs. The rest of the body is drained in the background, or cut off. */
  finish(): void {
    if (this.#outcome === undefined) {
      this.#linger = this.#clock.schedule(LINGER_MS, () => this.#destroy(new ServingError('backend_error')));
    }
    this.#settle({});
  }

  /** What is pending rejects with the reason. */
  abort(reason: unknown): void {
    this.#settle({ error: reason });
    this.#destroy(new ServingError('client_gone'));
  }

  pause(): void {
    this.#isPaused = true;
    this.#controller?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#inFlight = this.#connection.begin();
    this.#sentAt = this.#clock.now();
    if (this.#isPaused) controller.pause();
    if (this.#outcome !== undefined) controller.abort(new ServingError('client_gone'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: ResponseHeaders,
  ): void {
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
    this.#opened.resolve(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#outcome !== undefined) return;
    if (this.#onChunk === undefined) this.#buffered.push(chunk);
    else this.#deliver(chunk);
  }

  onResponseEnd(): void {
    this.#linger?.cancel();
    this.#onFree();
    this.#settle({});
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#linger?.cancel();
    this.#onFree();
    const { reused = false, unanswered = false } = this.#inFlight ?? {};
    this.wasLost = reused && unanswered && this.#clock.now() - this.#sentAt <= LOST_WITHIN_MS;
    const progress = { isSent: this.#controller !== undefined, isAnswered: this.status !== 0 };
    this.#settle({ error: networkError(error, progress) });
  }

  #deliver(chunk: Buffer): void {
    if (this.#reading === undefined) return;
    try {
      this.#onChunk?.(chunk);
    } catch (thrown) {
      // Counts even if the body has ended already.
      this.#outcome = { error: thrown };
      this.#settle(this.#outcome);
      this.#destroy(new ServingError('backend_error', { cause: thrown }));
    }
  }

  /** The first outcome counts. Chunks that arrived before there was a reader are still delivered to it. */
  #settle(outcome: { readonly error?: unknown }): void {
    this.#outcome ??= outcome;
    const { error } = this.#outcome;
    if (error !== undefined) this.#opened.reject(error);
    const reading = this.#reading;
    this.#reading = undefined;
    if (error === undefined) reading?.resolve();
    else reading?.reject(error);
  }

  #destroy(reason: Error): void {
    this.#linger?.cancel();
    this.#controller?.abort(reason);
  }
}
