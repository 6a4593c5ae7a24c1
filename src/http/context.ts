/**
 * One request from its head to its last byte: what the steps know about it, and how it is answered. Response headers are collected in
 * one flat list and written once. Invariant: it is answered at most once, and its close listeners run exactly once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '../core/caller.ts';
import type { Clock, Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import { formatMs, type RequestTrace, timingsOf } from '../core/request-trace.ts';
import type { HeldLimits } from '../limits/limit-plan.ts';
import { renameField } from '../protocols/field-errors.ts';
import type { FieldNames } from '../protocols/protocol.ts';
import type { PendingAdmission } from '../serving/pending-admission.ts';
import { type ReaderWatch, watchReader, watchRest } from './reader-watch.ts';
import type { RouteMatch, RoutePlace } from './router.ts';
import { EVERY_ANSWER } from './security-headers.ts';

/** Names the fields that were not supported and were dropped, by the names that the route uses. */
export const DROPPED_HEADER = 'X-Dropped-Parameters';
/** How often targets were asked for the answer. */
export const ATTEMPTS_HEADER = 'X-Attempts';
/** The model that answers, or was asked last: the one of the request, or a fallback model. */
export const SERVED_MODEL_HEADER = 'X-Served-Model';
/** The name of the target that answers, or was asked last. */
export const SERVED_TARGET_HEADER = 'X-Served-Target';
export const JSON_TYPE = 'application/json; charset=utf-8';

/** One step that every request passes. It does nothing, answers, or throws an error; both end the request. Where it has to wait, it promises to. */
export type Step = (context: RequestContext) => void | Promise<void>;

/** A route, as the edge sees it. */
export interface EdgeRoute extends RoutePlace {
  /** Answers, now or later. What it throws is rendered as an error. */
  readonly handle: (context: RequestContext) => void | Promise<void>;
  /** `setting`: the one that configures it. `isOptional`: a request may come without one. */
  readonly bodyLimit: { readonly bytes: number; readonly setting: string; readonly isOptional?: boolean };
  /** It asks a model: its answers tell the attempts. */
  readonly asksModel: boolean;
  /** Bodies are read as JSON whatever their content type. */
  readonly takesAnyType: boolean;
}

/** Shared by all requests of a server. */
export interface ContextServices {
  readonly clock: Clock;
  /** Whether the server is shutting down: then each response is the last one on its connection. */
  readonly draining: () => boolean;
  /** A client that reads nothing for so long is disconnected. */
  readonly stalledReaderMs: () => Milliseconds;
  /** The response has closed: its last byte was sent, or the connection was lost. */
  readonly onClosed: (context: RequestContext) => void;
}

export interface ClientIdentity {
  /** The peer, or the client that trusted proxies report. */
  readonly address: string;
  /** One for the addresses that count as one client: what it is limited by, and its share of the slots, where it has no key. */
  readonly addressKey: string;
}

/** Called with the error that refuses a request, before the response's headers are sent. */
export interface RefusalObserver {
  /** The answer waits for it. Resolves with an error that goes before the one given, if there is one. */
  refused(context: RequestContext, error: ServingError): undefined | Promise<ServingError | undefined>;
}

export class RequestContext {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly trace: RequestTrace;
  readonly clientAddress: string;
  readonly addressKey: string;
  /** Without the query, as the client spelled it. */
  readonly path: string;
  /** Undefined where no route has this path and method. */
  match: RouteMatch<EdgeRoute> | undefined;
  body: unknown;
  /** As received; undefined until it is complete. */
  bodyBytes: number | undefined;
  /** The client sends its body only after a 100 (Expect: 100-continue), which has not been sent yet. */
  awaitsContinue: boolean;
  /** The route's own names of fields, where they differ from the native ones. */
  fieldNames: FieldNames | undefined;
  /** A second header with the request's id. */
  requestIdHeader: string | undefined;
  /** Set while the response has the headers of limits. */
  onRefusal: RefusalObserver | undefined;
  /** What limits have counted of it. */
  limits: HeldLimits | undefined;
  /** Limits that another process decides while the request goes on; undefined: not begun, or admitted. One that refuses stays. */
  pendingLimits: PendingAdmission | undefined;
  /** Run before the last bytes of the answer are sent. */
  onLastBytes: (() => void) | undefined;
  /** Its response has closed. */
  isClosed: boolean;
  /** Its connection was lost before all of the answer had left. */
  wasCutOff: boolean;
  /** Of GET /live: the caller whose requests it may see; undefined: all. */
  seesOnly: string | undefined;
  /** The answer has told the client that its connection ends. */
  saidClose: boolean;
  /** Set when the answer was written to the socket directly, past the response. */
  answeredPastResponse: { readonly status: number; readonly at: Milliseconds } | undefined;
  /** Names and values, alternating, as they are sent. */
  readonly #headers: string[] = [];
  readonly #services: ContextServices;
  #closeListeners: (() => void)[] | undefined;
  #hasLimitHeaders = false;
  /** A body in pieces is framed as chunks here. */
  #framesChunks = false;

  constructor(
    { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
    services: ContextServices,
    identity: ClientIdentity & Pick<RequestContext, 'trace' | 'path' | 'awaitsContinue'>,
  ) {
    this.request = request;
    this.response = response;
    this.trace = identity.trace;
    this.clientAddress = identity.address;
    this.addressKey = identity.addressKey;
    this.path = identity.path;
    this.match = undefined;
    this.body = undefined;
    this.bodyBytes = undefined;
    this.awaitsContinue = identity.awaitsContinue;
    this.fieldNames = undefined;
    this.requestIdHeader = undefined;
    this.onRefusal = undefined;
    this.limits = undefined;
    this.pendingLimits = undefined;
    this.onLastBytes = undefined;
    this.isClosed = false;
    this.wasCutOff = false;
    this.seesOnly = undefined;
    this.saidClose = false;
    this.answeredPastResponse = undefined;
    this.#services = services;
    this.#closeListeners = undefined;
    // The only listener; other code uses `onClose`.
    response.on('close', () => this.#closed());
  }

  /** Whose key the request came with; undefined: it needs none. */
  get caller(): Caller | undefined {
    return this.trace.caller;
  }

  /** What its share of the slots goes by, and its place among the bodies that are being received. */
  get client(): string {
    return this.trace.caller?.id ?? this.addressKey;
  }

  /** To be called before the request's body is read. */
  setCaller(caller: Caller): void {
    this.trace.caller = caller;
    this.trace.client = caller.id;
  }

  /** The path of the route that answers; where none does, the path as the client spelled it. */
  get routePath(): string {
    return this.match?.route.path ?? this.path;
  }

  /** The answer, or its head, has been sent. */
  get isAnswered(): boolean {
    return this.response.headersSent || this.answeredPastResponse !== undefined;
  }

  /** `run` is called once, in the turn in which the response closes. */
  onClose(run: () => void): void {
    this.#closeListeners ??= [];
    this.#closeListeners.push(run);
  }

  offClose(run: () => void): void {
    const at = this.#closeListeners?.indexOf(run) ?? -1;
    if (at >= 0) this.#closeListeners?.splice(at, 1);
  }

  /** `name` is in lower case, as it is sent. A header that is set already gets the new value. */
  setHeader(name: string, value: string): void {
    const headers = this.#headers;
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] !== name) continue;
      headers[at + 1] = value;
      return;
    }
    headers.push(name, value);
  }

  /** Names and values, alternating: see `setHeader`. The first time none of them is there: nothing else sets these. */
  setLimitHeaders(headers: readonly string[]): void {
    if (!this.#hasLimitHeaders) {
      this.#hasLimitHeaders = true;
      this.#headers.push(...headers);
      return;
    }
    for (let at = 0; at < headers.length; at += 2) {
      const [name, value] = [headers[at], headers[at + 1]];
      if (name !== undefined && value !== undefined) this.setHeader(name, value);
    }
  }

  getHeader(name: string): string | undefined {
    for (let at = 0; at < this.#headers.length; at += 2)
      if (this.#headers[at] === name) return this.#headers[at + 1];
    return undefined;
  }

  /** Answers with head and body in one write. Without a body there is no content type. */
  answer(status: number, body?: string | Buffer, contentType = JSON_TYPE): void {
    if (this.isAnswered) return;
    this.onLastBytes?.();
    const headers = this.#headers;
    if (body !== undefined) headers.push('content-type', contentType);
    this.#stamp();
    if (body !== undefined) headers.push('content-length', String(Buffer.byteLength(body)));
    this.response.writeHead(status, headers);
    this.#send(this.request.method === 'HEAD' ? undefined : body);
    this.#finish();
  }

  answerJson(status: number, value: unknown): void {
    this.answer(status, JSON.stringify(value));
  }

  /** Begins an answer whose body comes in pieces; the head is sent with the first of them. `further`: names and values, alternating. */
  begin(status: number, further: readonly string[] = []): void {
    const { response } = this;
    this.#stamp();
    this.#headers.push(...further);
    response.writeHead(status, this.#headers);
    // Node would write each chunk to the socket in four parts.
    this.#framesChunks = response.chunkedEncoding;
    response.chunkedEncoding = false;
  }

  /** One piece, not empty, in one write: as a chunk, except for HTTP/1.0 clients. `onLeft`: the system has taken it, or never will. */
  write(text: string, onLeft?: () => void): void {
    this.#send(this.#framesChunks ? chunkOf(text) : text, onLeft);
  }

  /** The last piece, which may be empty, and the end. */
  end(last: string): void {
    this.onLastBytes?.();
    const chunk = this.#framesChunks && last !== '' ? chunkOf(last) : last;
    this.#send(this.#framesChunks ? chunk + LAST_CHUNK : chunk);
    this.#finish();
  }

  /** To be called while something waits for the client to read. `onStalled`: it reads nothing. */
  watchReader(onStalled: () => void): ReaderWatch {
    return watchReader(this.response, this.#services.stalledReaderMs(), onStalled);
  }

  #finish(): void {
    const { response } = this;
    response.end();
    if (response.writableLength > 0)
      watchRest(response, this.#services.stalledReaderMs(), () => {
        this.wasCutOff = true;
      });
  }

  /**
   * Node corks the socket for a turn and adds an empty part at the end; corked by hand, head and body leave in one write. While an
   * earlier answer of the connection is being sent there is no socket to cork.
   */
  #send(body: string | Buffer | undefined, onLeft?: () => void): void {
    const { response } = this;
    const { socket } = response;
    if (body === undefined || body.length === 0) return;
    socket?.cork();
    response.write(body, onLeft);
    socket?.uncork();
  }

  /**
   * The headers of every response, and what is known by now of where the time went. Times are up to the headers, in milliseconds with
   * two decimals. While the server drains, `Connection: close` keeps the client from sending its next request to a closed
   * connection.
   */
  #stamp(): void {
    const headers = this.#headers;
    const { requestId, receivedAt, droppedFields } = this.trace;
    const timing = serverTiming(this.trace);
    if (timing !== '') headers.push('server-timing', timing);
    if (droppedFields !== undefined && droppedFields.length > 0) {
      const names = this.fieldNames ?? {};
      headers.push(
        DROPPED_HEADER.toLowerCase(),
        droppedFields.map((field) => renameField(names, field)).join(', '),
      );
    }
    if (this.match?.route.asksModel === true) this.#stampAttempts();
    if (this.requestIdHeader !== undefined) headers.push(this.requestIdHeader, requestId);
    if (this.#services.draining()) {
      this.setHeader('connection', 'close');
      this.saidClose = true;
    }
    headers.push(
      'x-request-id',
      requestId,
      'x-response-time-ms',
      formatMs(this.#services.clock.now() - receivedAt),
      EVERY_ANSWER[0],
      EVERY_ANSWER[1],
      EVERY_ANSWER[2],
      EVERY_ANSWER[3],
    );
  }

  #stampAttempts(): void {
    const { attempts, servedModel, model, target = '' } = this.trace;
    if (attempts === undefined || model === undefined) {
      this.#headers.push(ATTEMPTS_NAME, '0');
      return;
    }
    const served = servedModel ?? model;
    this.#headers.push(
      ATTEMPTS_NAME,
      String(attempts.length),
      SERVED_MODEL_NAME,
      headerText(served),
      SERVED_TARGET_NAME,
      headerText(target),
    );
  }

  /** Its response will never be sent. Once it has closed, nothing happens. */
  connectionLost(): void {
    this.#closed();
  }

  #closed(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#services.onClosed(this);
    const listeners = this.#closeListeners;
    this.#closeListeners = undefined;
    if (listeners !== undefined) for (const run of listeners) run();
  }
}

/**
 * Of an answer that is whole: all of it, as in its body. Of a stream that begins: the wait for its slot and the time to its first token,
 * where they are known. Empty where no model was asked.
 */
export function serverTiming(trace: RequestTrace): string {
  const { enqueuedAt, endedAt, attempts } = trace;
  if (enqueuedAt === undefined) return '';
  if (endedAt !== undefined) {
    const { queueMs, upstreamMs, ttftMs, generateMs, gatewayMs } = timingsOf(trace, endedAt);
    const begun =
      ttftMs === undefined || generateMs === undefined
        ? ''
        : `, ttft;dur=${formatMs(ttftMs)}, generate;dur=${formatMs(generateMs)}`;
    return `queue;dur=${formatMs(queueMs)}, upstream;dur=${formatMs(upstreamMs)}${begun}, gateway;dur=${formatMs(gatewayMs)}`;
  }
  const running = attempts?.at(-1);
  if (running === undefined || running.endedAt !== undefined) return '';
  const { queueMs, ttftMs } = timingsOf(trace, running.firstTokenAt ?? running.startedAt);
  const queue = `queue;dur=${formatMs(queueMs)}`;
  return ttftMs === undefined ? queue : `${queue}, ttft;dur=${formatMs(ttftMs)}`;
}

const ATTEMPTS_NAME = ATTEMPTS_HEADER.toLowerCase();
const SERVED_MODEL_NAME = SERVED_MODEL_HEADER.toLowerCase();
const SERVED_TARGET_NAME = SERVED_TARGET_HEADER.toLowerCase();
const PLAIN_NAME = /^[\x20-\x7e]*$/;

/** Headers have ASCII only; other names are percent-encoded. */
function headerText(name: string): string {
  return PLAIN_NAME.test(name) ? name : encodeURI(name);
}

const LAST_CHUNK = '0\r\n\r\n';

function chunkOf(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

/** A GET route without a body. */
export function pageRoute(path: string, handle: EdgeRoute['handle']): EdgeRoute {
  return {
    method: 'GET',
    path,
    handle,
    bodyLimit: { bytes: 0, setting: '' },
    asksModel: false,
    takesAnyType: false,
  };
}
