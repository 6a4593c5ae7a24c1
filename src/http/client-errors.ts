/**
 * Answers to what never becomes a request: bytes that are not HTTP, headers that are too large or too slow. Node
 * reports them on the socket, past every hook, so the response is written by hand, with the same headers as any other.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, ServingError } from '../core/errors.ts';
import type { Telemetry } from '../core/telemetry.ts';
import { renderDefaultError } from '../protocols/catalog.ts';
import { newRequestId } from './plugins/request-context.ts';
import { formatMs } from './request-scope.ts';

const NODE_CODES: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  HPE_HEADER_OVERFLOW: { code: 'headers_too_large', message: 'The headers are larger than 16 KiB.' },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'request_timeout',
    message: 'The request’s headers and body did not arrive in time (server.body_timeout_seconds).',
  },
};
const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

export function answerClientError(edge: { readonly clock: Clock; readonly telemetry: Telemetry }) {
  return (error: NodeJS.ErrnoException, socket: Socket): void => {
    // A connection that broke, or one that never sent a byte, gets no answer.
    if (
      error.code === 'ECONNRESET' ||
      !socket.writable ||
      (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0)
    ) {
      socket.destroy();
      return;
    }
    const known = NODE_CODES[error.code ?? ''] ?? {
      code: 'malformed_http' as const,
      message: 'The request is not valid HTTP/1.1.',
    };
    const failure = new ServingError(known.code, { message: known.message });
    const receivedAt = edge.clock.now();
    const requestId = newRequestId();
    const { status } = failure.spec;
    const body = JSON.stringify(renderDefaultError(failure, requestId));
    const head = [
      `HTTP/1.1 ${status} ${REASONS[status] ?? 'Error'}`,
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      `X-Request-Id: ${requestId}`,
      `X-Response-Time-Ms: ${formatMs(edge.clock.now() - receivedAt)}`,
      'Connection: close',
    ];
    socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
    edge.telemetry.requestEnded({
      method: '-',
      path: '-',
      route: 'unknown',
      status,
      clientAddress: socket.remoteAddress ?? 'unknown',
      receipt: { requestId, receivedAt, errorCode: known.code },
      endedAt: edge.clock.now(),
    });
  };
}

/** Node would answer these by itself, without our headers: requests without Host, and those that expect something odd. */
export function takeOverNodeAnswers(server: Server): void {
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
}
