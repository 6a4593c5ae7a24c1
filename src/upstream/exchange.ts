/** What a failed connection means for the caller: nothing was sent, so another try is safe; or the answer is lost. */

import type { Dispatcher } from 'undici';
import type { Clock, Milliseconds, Timer } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { HeldWork } from '../core/sink.ts';
import type { Connection, InFlight } from './connection.ts';

/** `started`: the request was on its way when it failed. The cause is for the log; clients are told no addresses. */
function networkError(cause: unknown, { started }: { readonly started: boolean }): ServingError {
  const code = errorCode(cause);
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED')
    return new ServingError('draining', { retryAfterSeconds: 1 });
  if (!started) {
    const message = `The model’s backend ${connectTrouble(code)}. Try again shortly.`;
    return new ServingError('no_backend_available', { message, retryAfterSeconds: 1, cause });
  }
  return new ServingError('backend_error', { message: `The model’s backend ${answerTrouble(code)}.`, cause });
}

function connectTrouble(code: string): string {
  switch (code) {
    case 'ECONNREFUSED':
      return 'refused the connection';
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'did not accept a connection in time';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'has a host name that does not resolve';
    default:
      return 'could not be reached';
  }
}

function answerTrouble(code: string): string {
  return code.startsWith('HPE_')
    ? 'answered something that is not HTTP'
    : 'closed the connection before its answer was complete';
}

/** Connecting to a name with several addresses fails with one error for each. */
function errorCode(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return errorCode(error.errors[0]);
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}

/**
 * One request to an upstream and its answer, over undici's dispatch interface (no streams in between). It owns the
 * socket's fate: an abort rejects what is pending at once with its reason and destroys the socket.
 */

/** Takes the body as it comes. What it throws ends the exchange with that error. */
type OnChunk = (chunk: Buffer) => void;

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

interface Pending<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (reason: unknown) => void;
}

/** After its reader has all it needs, a connection may finish its answer for so long, to be used again. */
const LINGER_MS = 1000;
/** A server that had closed a connection says so as soon as the request arrives. One that fails later may have begun. */
const LOST_WITHIN_MS = 1000;

export class Exchange implements Dispatcher.DispatchHandler, HeldWork {
  readonly #clock: Clock;
  readonly #connection: Connection;
  readonly #opened: Pending<Exchange>;
  /** The connection may carry the next one. */
  readonly #onFree: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #buffered: Buffer[] = [];
  #sink: OnChunk | undefined;
  #reading: Pending<void> | undefined;
  #outcome: { readonly error?: unknown } | undefined;
  #linger: Timer | undefined;
  #sending: InFlight | undefined;
  #sentAt: Milliseconds = 0;
  #isPaused = false;
  /** The server had closed the connection before the request arrived: it may be sent once more. */
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

  /** Passes the whole body to `sink`; resolves at its end or at `finish()`. To be called once. */
  read(sink: OnChunk): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#sink = sink;
      this.#reading = { resolve, reject };
      const buffered = this.#buffered;
      this.#buffered = [];
      for (const chunk of buffered) this.#deliver(chunk);
      if (this.#outcome !== undefined) this.#settle(this.#outcome);
    });
  }

  /** The reader has what it needs. The rest of the body is read away in the background, or cut off. */
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
    this.#sending = this.#connection.begin();
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
    if (this.#sink === undefined) this.#buffered.push(chunk);
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
    const { reused = false, unanswered = false } = this.#sending ?? {};
    this.wasLost = reused && unanswered && this.#clock.now() - this.#sentAt <= LOST_WITHIN_MS;
    this.#settle({ error: networkError(error, { started: this.#controller !== undefined }) });
  }

  #deliver(chunk: Buffer): void {
    if (this.#reading === undefined) return;
    try {
      this.#sink?.(chunk);
    } catch (thrown) {
      // Counts even where the body's end is here already.
      this.#outcome = { error: thrown };
      this.#settle(this.#outcome);
      this.#destroy(new ServingError('backend_error', { cause: thrown }));
    }
  }

  /** The first outcome counts. Chunks that arrived before there was a reader are still its own. */
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
