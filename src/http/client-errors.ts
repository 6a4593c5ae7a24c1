/**
 * Answers what never became a request: not HTTP, headers too large, or a request that is too slow. Node reports these on the socket, so the
 * response is written by hand, with the same headers as any other. Invariant: it comes behind all answers of the connection that are under
 * way or wait for their turn, and cuts none of them.
 */
import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import { formatMs, type RequestTrace, type Telemetry } from '../core/request-trace.ts';
import { defaultErrors } from '../protocols/catalog.ts';
import type { Protocol, RenderedError } from '../protocols/protocol.ts';
import { LateConnections } from './late-connections.ts';
import { newId, type OpenRequests } from './open-requests.ts';
import { peerOf } from './peer.ts';
import { EVERY_ANSWER } from './security-headers.ts';

const TOO_LATE = 'ERR_HTTP_REQUEST_TIMEOUT';
/** The client has ended its side in the middle of a request. */
const ENDED = 'HPE_INVALID_EOF_STATE';
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
  readonly openRequests: OpenRequests;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors'>;
  /** For the head and the body of a request to arrive. */
  readonly requestTimeoutMs: Milliseconds;
}

/** Listens to the `clientError` of a server. */
export function answerClientError(options: ClientErrorOptions) {
  const { openRequests } = options;
  const answer = answerOf(options);
  /** They have sent what is no HTTP: whatever follows means nothing. */
  const failed = new WeakSet<Socket>();
  const late = new LateConnections({
    ...options,
    end: (error, socket) => {
      if (!failed.has(socket)) answer(error, socket);
    },
  });
  const answerInTurn = (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (openRequests.hasAnswersAhead(socket))
      openRequests.onAnswered(socket, () => answerInTurn(error, socket));
    else answer(error, socket);
  };
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === TOO_LATE) late.add(error, socket);
    // As one that ends its side between two requests: it does not wait for its answers.
    else if (error.code === ENDED && openRequests.hasAnswersAhead(socket)) socket.destroy();
    else if (!failed.has(socket)) {
      failed.add(socket);
      answerInTurn(error, socket);
    }
  };
}

function answerOf(options: ClientErrorOptions) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    const open = options.openRequests.on(socket);
    // No answer on a connection that broke, or that never sent a byte.
    const neverSpoke = error.code === TOO_LATE && socket.bytesRead === 0;
    if (error.code === 'ECONNRESET' || !socket.writable || neverSpoke) {
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
