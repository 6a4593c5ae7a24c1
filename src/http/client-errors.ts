/**
 * Answers to what never becomes a request: bytes that are not HTTP, headers that are too large or too slow. Node
 * reports them on the socket, past every hook, so the response is written by hand, with the same headers as any other.
 */
import { type Server, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock, Milliseconds } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { defaultErrors } from '../protocols/catalog.ts';
import type { Protocol, RenderedError } from '../protocols/protocol.ts';
import { formatMs } from './context.ts';
import type { OpenRequests } from './open-requests.ts';
import { newId } from './request-id.ts';

const NODE_ERRORS: Readonly<Record<string, ServingError>> = {
  HPE_HEADER_OVERFLOW: new ServingError('headers_too_large', {
    message: 'The headers are larger than 16 KiB.',
  }),
  ERR_HTTP_REQUEST_TIMEOUT: new ServingError('request_timeout', {
    message: 'The request’s headers and body did not arrive in time (server.body_timeout_seconds).',
  }),
};
const CLOSE_WITHIN_MS = 1000;
const NOT_HTTP = new ServingError('malformed_http', { message: 'The request is not valid HTTP/1.1.' });

export interface ClientErrorOptions {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly openRequests: Pick<OpenRequests, 'on'>;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors'>;
}

export function answerClientError(options: ClientErrorOptions) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    const open = options.openRequests.on(socket);
    // A connection that broke or never sent a byte gets no answer, nor does one in the middle of an answer.
    const neverSpoke = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0;
    if (error.code === 'ECONNRESET' || !socket.writable || neverSpoke || open?.response.headersSent) {
      socket.destroy();
      return;
    }
    const failure = NODE_ERRORS[error.code ?? ''] ?? NOT_HTTP;
    const receipt = open?.receipt ?? { requestId: newId('req'), receivedAt: options.clock.now() };
    receipt.errorCode = failure.code;
    // Of a request whose head was read the path is known, and so who speaks there.
    const { errors } = open === undefined ? { errors: defaultErrors } : options.protocolAt(open.path);
    const rendered = errors.render(failure, receipt.requestId);
    writeAnswer(socket, { rendered, receipt, now: options.clock.now() });
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
      clientAddress: socket.remoteAddress ?? 'unknown',
      receipt,
      endedAt: options.clock.now(),
    });
  };
}

/** Reads on for a moment, so that the answer is not lost to a reset, but does not leave the end to the peer. */
function closeSoon(socket: Socket, clock: Clock): void {
  socket.resume();
  const enforce = clock.schedule(CLOSE_WITHIN_MS, () => socket.destroy());
  socket.once('close', () => enforce.cancel());
}

function writeAnswer(
  socket: Socket,
  answer: { rendered: RenderedError; receipt: Receipt; now: Milliseconds },
): void {
  const { rendered, receipt, now } = answer;
  const { status } = rendered;
  const body = JSON.stringify(rendered.body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${receipt.requestId}`,
    `X-Response-Time-Ms: ${formatMs(now - receipt.receivedAt)}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

/** Node would answer these two by itself: `Expect: 100-continue`, and any other expectation. */
export function takeOverNodeAnswers(server: Server): void {
  server.on('checkContinue', (request, response) => server.emit('request', request, response));
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
}
