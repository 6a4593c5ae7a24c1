/** Streams of server-sent events over fetch, which unlike EventSource sends headers: one answer, or a feed that reconnects. */

import { EventParser, type ServerEvent } from './event-parser.ts';
import { type ApiFailure, asFailure, connectionLost } from './failure.ts';
import { callApi } from './request.ts';

/**
 * All events of an answer that arrived together are one batch. Throws `connectionLost` when the connection breaks, or brings nothing for
 * `silenceMs`: a connection whose other end has gone without a word looks like one where nothing happens.
 */
export async function* readEvents(
  response: Response,
  signal?: AbortSignal,
  silenceMs?: number,
): AsyncGenerator<readonly ServerEvent[], void, void> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const parser = new EventParser();
  const decoder = new TextDecoder();
  let turnBegan = performance.now();
  try {
    for (;;) {
      // Bytes that have come already are read without leaving the turn: frames and keys must have theirs.
      if (performance.now() - turnBegan > TURN_MS) {
        await anotherTurn();
        turnBegan = performance.now();
      }
      const { done, value } = await within(silenceMs, reader.read());
      if (done) return;
      const events = parser.push(decoder.decode(value, { stream: true }));
      if (events.length > 0) yield events;
    }
  } catch {
    signal?.throwIfAborted();
    throw connectionLost();
  } finally {
    // Ends the request where the consumer has stopped before its end.
    reader.cancel().catch(() => {});
  }
}

/** Rejects where it takes longer; undefined: no bound. */
function within<Value>(ms: number | undefined, promise: Promise<Value>): Promise<Value> {
  if (ms === undefined) return promise;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(reject, ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const TURN_MS = 8;

/** Unlike a timer it is not slowed down in hidden tabs. */
function anotherTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}

export interface FeedListener {
  readonly onEvents: (events: readonly ServerEvent[]) => void;
  /** Undefined: connected. Otherwise why not, and when it is tried again; `retryInMs` undefined: never. */
  readonly onState: (failure: ApiFailure | undefined, retryInMs?: number) => void;
}

/** The server sends at least a comment each 5 s. */
const SILENCE_MS = 15_000;
const RETRY_MS = { first: 500, factor: 1.7, longest: 8_000 } as const;

/** Follows a feed until `signal` aborts, and connects again when it is lost. */
export async function followFeed(
  path: string,
  signal: AbortSignal,
  { onEvents, onState }: FeedListener,
): Promise<void> {
  let pause: number = RETRY_MS.first;
  while (!signal.aborted) {
    let failure: ApiFailure;
    try {
      const response = await callApi(path, {
        accept: 'text/event-stream',
        key: 'admin',
        silenceMs: SILENCE_MS,
        signal,
      });
      onState(undefined);
      for await (const events of readEvents(response, signal, SILENCE_MS)) {
        pause = RETRY_MS.first;
        onEvents(events);
      }
      failure = connectionLost();
    } catch (thrown) {
      if (signal.aborted) return;
      failure = asFailure(thrown);
    }
    if (isFinal(failure)) {
      onState(failure);
      return;
    }
    onState(failure, pause);
    await sleep(pause, signal);
    pause = Math.min(pause * RETRY_MS.factor, RETRY_MS.longest);
  }
}

/** Refused for what was asked: asking again would change nothing. */
function isFinal({ status }: ApiFailure): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
