/**
 * Errors as responses, rendered once, by the protocol of the path: status and body are the protocol's own, headers the same in every
 * protocol. `ErrorRenderer` answers requests; `answerClientError` answers bytes that never became one.
 */
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { type ErrorCode, ServingError, toServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { formatMs, type RequestTrace, type Telemetry } from '../core/request-trace.ts';
import { defaultErrors } from '../protocols/catalog.ts';
import type { Protocol, RenderedError } from '../protocols/protocol.ts';
import { JSON_TYPE, type RequestContext } from './context.ts';
import { LateConnections } from './late-connections.ts';
import { newId, type OpenRequests } from './open-requests.ts';
import { peerOf } from './peer.ts';
import { EVERY_ANSWER } from './security-headers.ts';

interface ErrorOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors' | 'requestIdHeader'>;
}

/** Enough for a fast client to finish sending; a slow one is not waited for. */
const READ_ON_MS = 2000;

/** Official clients would retry these: the first would triple the load, the second repeat a wrong key, the third go round again, and a budget begins anew hours later. */
const UNWANTED_RETRIES: ReadonlySet<ErrorCode> = new Set([
  'deadline_exceeded',
  'too_many_attempts',
  'loop_detected',
  'budget_exceeded',
]);

export class ErrorRenderer {
  readonly #options: ErrorOptions;

  constructor(options: ErrorOptions) {
    this.#options = options;
  }

  /** Answers with the error, unless the head of a response is out already. */
  answer(context: RequestContext, thrown: unknown): void {
    const error = toServingError(thrown);
    if (error.code === 'internal') this.#log(context, thrown);
    if (context.isAnswered) {
      context.trace.errorCode ??= error.code;
      return;
    }
    const refused = context.onRefusal?.refused(context, error);
    if (refused instanceof Promise) void refused.then((before) => this.#send(context, before ?? error));
    else this.#send(context, error);
  }

  #send(context: RequestContext, error: ServingError): void {
    context.trace.errorCode ??= error.code;
    // Another failure may have come while this one waited.
    if (context.isAnswered) return;
    const { errors, requestIdHeader } = this.#options.protocolAt(context.routePath);
    context.requestIdHeader = requestIdHeader;
    const { status, body } = errors.render(error, context.trace.requestId);
    setErrorHeaders(context, error);
    if (isCutShort(context))
      readOn(context.request, this.#options.clock, () => context.answerJson(status, body));
    else context.answerJson(status, body);
  }

  /** For a path that cannot be decoded: nothing else of the request is looked at. */
  answerUndecodable(context: RequestContext, error: ServingError): void {
    const { errors } = this.#options.protocolAt(context.path);
    const rendered = errors.render(error, context.trace.requestId);
    const body = JSON.stringify(rendered.body);
    context.trace.errorCode = error.code;
    const length = String(Buffer.byteLength(body));
    context.begin(rendered.status, ['content-type', JSON_TYPE, 'content-length', length]);
    context.end(body);
  }

  #log({ trace }: RequestContext, thrown: unknown): void {
    const stack = thrown instanceof Error ? thrown.stack : String(thrown);
    this.#options.log.error('unexpected error', { requestId: trace.requestId, stack });
  }
}

function setErrorHeaders(context: RequestContext, error: ServingError): void {
  const { status } = error.spec;
  if (status === 429 || status === 503) {
    const seconds = error.retryAfterSeconds ?? 1;
    if (Number.isFinite(seconds)) context.setHeader('retry-after', String(Math.max(1, seconds)));
    context.setHeader('x-reject-reason', error.code);
  }
  const isFinal = error.retryAfterSeconds === Number.POSITIVE_INFINITY;
  if (isFinal || UNWANTED_RETRIES.has(error.code)) context.setHeader('x-should-retry', 'false');
  if (status === 401) context.setHeader('www-authenticate', 'Bearer');
  if (error.allow !== undefined) context.setHeader('allow', error.allow);
}

/** Its body was not read to the end, and the connection is closed with the answer. */
function isCutShort(context: RequestContext): boolean {
  return context.getHeader('connection') === 'close' && !context.request.complete && !context.awaitsContinue;
}

/** Reads and discards for a moment: if the connection were closed while the client still sends, it would be reset, and the client would never see the answer. */
function readOn(body: IncomingMessage, clock: Clock, then: () => void): void {
  const onClose = () => {
    limit.cancel();
    then();
  };
  const limit = clock.schedule(READ_ON_MS, () => {
    body.off('close', onClose);
    then();
  });
  body.once('close', onClose);
  body.resume();
}

const TOO_LATE = 'ERR_HTTP_REQUEST_TIMEOUT';
const NODE_ERRORS: Readonly<Record<string, ServingError>> = {
  HPE_HEADER_OVERFLOW: new ServingError('headers_too_large', {
    message: 'The headers are larger than 16 KiB.',
  }),
  [TOO_LATE]: new ServingError('request_timeout', {
    message: 'The headers and body of the request did not arrive in time (server.body_timeout_seconds).',
  }),
};
const NOT_HTTP = new ServingError('malformed_http', { message: 'The request is not valid HTTP/1.1.' });
/** How long the connection stays open after the answer. */
const CLOSE_WITHIN_MS = 1000;

interface ClientErrorOptions {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly openRequests: Pick<OpenRequests, 'on' | 'arrivedOn'>;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors'>;
}

/**
 * Answers bytes that never became a request: not HTTP, headers too large or too slow. Node reports these on the socket, so the response
 * is written by hand, with the same headers as any other.
 */
export function answerClientError(options: ClientErrorOptions) {
  const answer = answerOf(options);
  const late = new LateConnections({ ...options, end: answer });
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === TOO_LATE) late.add(error, socket);
    else answer(error, socket);
  };
}

function answerOf(options: ClientErrorOptions) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    const open = options.openRequests.on(socket);
    // No answer on a connection that broke, that never sent a byte, or that is in the middle of an answer.
    const neverSpoke = error.code === TOO_LATE && socket.bytesRead === 0;
    if (error.code === 'ECONNRESET' || !socket.writable || neverSpoke || open?.response.headersSent) {
      socket.destroy();
      return;
    }
    const failure = NODE_ERRORS[error.code ?? ''] ?? NOT_HTTP;
    const trace = open?.trace ?? { requestId: newId('req'), receivedAt: options.clock.now() };
    trace.errorCode = failure.code;
    // If the head of the request was read, its path tells the protocol.
    const { errors } = open === undefined ? { errors: defaultErrors } : options.protocolAt(open.path);
    const rendered = errors.render(failure, trace.requestId);
    writeAnswer(socket, { rendered, trace, now: options.clock.now() });
    closeSoon(socket, options.clock);
    if (open) {
      // Its end is reported when its response closes.
      open.answeredPastResponse = { status: rendered.status, at: options.clock.now() };
      return;
    }
    options.telemetry.requestEnded({
      method: '-',
      path: '-',
      route: 'unknown',
      status: rendered.status,
      clientAddress: peerOf(socket).address,
      trace,
      endedAt: options.clock.now(),
    });
  };
}

/** Reads on for a moment, so that the answer is not lost to a reset, but does not wait for the peer to close. */
function closeSoon(socket: Socket, clock: Clock): void {
  socket.resume();
  const enforce = clock.schedule(CLOSE_WITHIN_MS, () => socket.destroy());
  socket.once('close', () => enforce.cancel());
}

const [SNIFFING, NO_SNIFFING, LOADING, NO_LOADING] = EVERY_ANSWER;
const SECURITY_LINES = [`${SNIFFING}: ${NO_SNIFFING}`, `${LOADING}: ${NO_LOADING}`];

function writeAnswer(
  socket: Socket,
  answer: { rendered: RenderedError; trace: RequestTrace; now: Milliseconds },
): void {
  const { rendered, trace, now } = answer;
  const { status } = rendered;
  const body = JSON.stringify(rendered.body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${trace.requestId}`,
    `X-Response-Time-Ms: ${formatMs(now - trace.receivedAt)}`,
    ...SECURITY_LINES,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Node would answer these two itself: `Expect: 100-continue`, and any other expectation. */
export function takeOverNodeAnswers(server: Server): void {
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
}
