/** Sends one request and notes what is seen of its answer: one record, whatever happens. */
import type { IncomingMessage } from 'node:http';
import { ERRORS, type ErrorCode, isRejection } from '../core/errors.ts';
import { LineReader } from '../upstream/stream-reader.ts';
import { Answer } from './answer.ts';
import type { HttpClient } from './http.ts';
import type { PlannedRequest } from './plan.ts';
import type { Fields, Protocol } from './protocols.ts';
import type { Outcome, RequestRecord } from './record.ts';
import { readServerTiming } from './server-timings.ts';

export interface ClientOptions {
  readonly http: HttpClient;
  readonly protocol: Protocol;
  readonly model: string;
  readonly key: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Fields that every body gets; null removes one. */
  readonly extraBody: Readonly<Record<string, unknown>>;
  readonly ignoreEos: boolean;
  readonly wantsUsage: boolean;
  /** A request that takes longer has failed. */
  readonly timeoutMs: number;
  /** Monotonic milliseconds. */
  now(): number;
}

export interface SendContext {
  /** On the clock of `now`; all times of the record count from here. */
  readonly stepBeganAt: number;
  /** Ends the run. */
  readonly signal: AbortSignal;
  onToken?(): void;
}

/** Errors of other servers that mean the same as 429 and 503, inside a stream that had begun: OpenAI's, Anthropic's. */
const REJECTIONS: ReadonlySet<string> = new Set([
  ...['http_429', 'http_503', 'rate_limit_exceeded', 'rate_limit_error', 'overloaded_error'],
]);
const MAX_ERROR_BYTES = 16_384;

export class BenchClient {
  readonly #options: ClientOptions;
  readonly #headers: Readonly<Record<string, string>>;
  /** Of the last answer that was an error: for people. */
  lastErrorText: string | undefined = undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    const { protocol, key, headers } = options;
    this.#headers = {
      'content-type': 'application/json',
      accept: protocol.framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson',
      'user-agent': 'llm-serve-bench',
      ...(protocol.path === '/v1/messages' && { 'anthropic-version': '2023-06-01' }),
      ...(key !== undefined && protocol.keyHeaders(key)),
      ...headers,
    };
  }

  async send(request: PlannedRequest, { stepBeganAt, signal, onToken }: SendContext): Promise<RequestRecord> {
    const { http, protocol, timeoutMs, now } = this.#options;
    const exchange = new Exchange(protocol, now, onToken);
    const body = this.#bodyOf(request);
    const ending = new AbortController();
    const cancel = () => ending.abort();
    signal.addEventListener('abort', cancel, { once: true });
    if (signal.aborted) cancel();
    let hasTimedOut = false;
    const timer = setTimeout(() => {
      hasTimedOut = true;
      ending.abort();
    }, timeoutMs);
    let sentAt = now();
    let failure: string | undefined;
    try {
      const reader = Object.assign(exchange, {
        onSend: () => {
          sentAt = now();
        },
      });
      const { path } = protocol;
      await http.exchange({ method: 'POST', path, headers: this.#headers, body }, reader, ending.signal);
      exchange.end();
    } catch (error) {
      failure = hasTimedOut ? 'timeout' : codeOf(error);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
    const endedAt = exchange.doneAt ?? now();
    const { answer } = exchange;
    if (exchange.errorText !== '') this.lastErrorText = exchange.errorText;
    const error = exchange.problem() ?? (answer.isDone ? undefined : failure) ?? missing(answer);
    return {
      index: request.index,
      startedAt: request.dueAt ?? sentAt - stepBeganAt,
      sentAt: sentAt - stepBeganAt,
      firstTokenAt: answer.firstTokenAt === undefined ? undefined : answer.firstTokenAt - stepBeganAt,
      endedAt: endedAt - stepBeganAt,
      outcome: outcomeOf(error, signal.aborted && !hasTimedOut),
      error,
      finishReason: answer.finishReason,
      asked: { promptTokens: request.promptTokens, outputTokens: request.outputTokens },
      promptTokens: answer.promptTokens,
      outputTokens: answer.outputTokens ?? answer.events,
      tokensFrom: answer.outputTokens === undefined ? 'events' : 'usage',
      beganWithReasoning: answer.beganWithReasoning,
      gapsMs: answer.gaps(),
      server: answer.server,
    };
  }

  #bodyOf({ messages, outputTokens }: PlannedRequest): string {
    const { protocol, model, ignoreEos, wantsUsage, extraBody } = this.#options;
    const body = {
      ...protocol.body({
        model,
        messages,
        maxTokens: outputTokens,
        ignoreEos: ignoreEos && protocol.canIgnoreEos,
        wantsUsage: wantsUsage && protocol.asksForUsage,
      }),
      ...extraBody,
    };
    return JSON.stringify(Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null)));
  }
}

/** The bytes of one answer, read as the protocol says. */
class Exchange {
  readonly answer = new Answer();
  status = 0;
  errorText = '';
  doneAt: number | undefined = undefined;
  readonly #protocol: Protocol;
  readonly #now: () => number;
  readonly #onToken: (() => void) | undefined;
  readonly #lines = new LineReader((line) => this.#onLine(line));
  #arrivedAt = 0;
  #isUnreadable = false;

  constructor(protocol: Protocol, now: () => number, onToken: (() => void) | undefined) {
    this.#protocol = protocol;
    this.#now = now;
    this.#onToken = onToken;
  }

  readonly onHead = (status: number, headers: IncomingMessage['headers']): void => {
    this.status = status;
    const header = headers['server-timing'];
    const timings = readServerTiming(Array.isArray(header) ? header.join(',') : header);
    if (timings !== undefined) this.answer.timings(timings);
  };

  readonly onData = (chunk: Buffer): void => {
    if (this.status !== 200) {
      if (this.errorText.length < MAX_ERROR_BYTES) this.errorText += chunk.toString();
      return;
    }
    this.#arrivedAt = this.#now();
    const before = this.answer.events;
    this.#lines.push(chunk);
    if (this.#onToken !== undefined)
      for (let count = before; count < this.answer.events; count += 1) this.#onToken();
  };

  end(): void {
    if (this.status !== 200) return;
    this.#arrivedAt = this.#now();
    this.#lines.end();
  }

  /** What the server itself said was wrong. */
  problem(): string | undefined {
    if (this.status !== 0 && this.status !== 200) return `http_${this.status}`;
    return this.answer.error ?? (this.#isUnreadable ? 'unreadable' : undefined);
  }

  #onLine(line: string): void {
    let text = line;
    if (this.#protocol.framing === 'sse') {
      if (!line.startsWith('data:')) return;
      text = line.charCodeAt(5) === 32 ? line.slice(6) : line.slice(5);
    }
    if (text === '') return;
    if (text === '[DONE]') {
      this.#done();
      return;
    }
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      this.#isUnreadable = true;
      return;
    }
    if (typeof data !== 'object' || data === null) return;
    this.#protocol.read(data as Fields, this.answer, this.#arrivedAt);
    if (this.answer.isDone) this.#done();
  }

  #done(): void {
    this.answer.isDone = this.answer.error === undefined;
    this.doneAt ??= this.#arrivedAt;
  }
}

/** The answer ended without an error, but without its mark of success, or without a token. What fails after that mark does not matter. */
function missing({ finishReason, isDone, events }: Answer): string | undefined {
  if (!isDone && finishReason === undefined) return 'cut';
  return events === 0 ? 'empty' : undefined;
}

function outcomeOf(error: string | undefined, isCancelled: boolean): Outcome {
  if (error === undefined) return 'completed';
  if (isCancelled) return 'cancelled';
  return isRejected(error) ? 'rejected' : 'failed';
}

/** The server could not take the request at this moment, as opposed to one that failed at it; by the error, since a stream may have begun. */
function isRejected(error: string): boolean {
  return REJECTIONS.has(error) || (Object.hasOwn(ERRORS, error) && isRejection(error as ErrorCode));
}

function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  // The other side closes: before the head it is a reset, within the answer a cut.
  if (code === 'ECONNRESET' && message === 'aborted') return 'cut';
  return code ?? message;
}
