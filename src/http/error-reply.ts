/** A ServingError as an HTTP answer: headers are the same in every protocol, status and body are the protocol's own. */
import type { FastifyError, FastifyReply } from 'fastify';
import { type ErrorCode, ServingError, toServingError } from '../core/errors.ts';
import type { Protocol } from '../protocols/protocol.ts';

/** Errors of the framework and of the connection, by code. */
const KNOWN_ERRORS: Readonly<Record<string, { readonly code: ErrorCode; readonly message: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: 'unsupported_media_type',
    message: 'The content type is not supported. Send JSON with "content-type: application/json".',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'malformed_http',
    message: 'The body is not as long as its Content-Length says.',
  },
  // The connection ended while the body was read.
  ECONNRESET: { code: 'client_gone', message: 'The client closed the connection.' },
  FST_ERR_BAD_URL: { code: 'malformed_http', message: 'The path of the URL is not validly encoded.' },
};

/** The setting that bounds a body. */
const BODY_LIMITS: Readonly<Record<Protocol['bodyLimit'], string>> = {
  text: 'server.body_limit_bytes',
  media: 'server.media_body_limit_bytes',
};

/** Official clients would send these again by themselves: the one would triple the load, the other a wrong key. */
const UNWANTED_RETRIES: ReadonlySet<ErrorCode> = new Set(['deadline_exceeded', 'too_many_attempts']);

/** `bodyLimit`: which one the route has. */
export function fromFastify(thrown: unknown, bodyLimit: Protocol['bodyLimit'] = 'text'): ServingError {
  const code = (thrown as FastifyError | undefined)?.code ?? '';
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new ServingError('body_too_large', {
      message: `The body is larger than this server takes (${BODY_LIMITS[bodyLimit]}). Send less.`,
    });
  if (isFileRefusal(thrown)) return new ServingError('not_found');
  const known = KNOWN_ERRORS[code];
  return known ? new ServingError(known.code, { message: known.message }) : toServingError(thrown);
}

/** A path below /docs that leaves its folder, or holds a NUL: the library that sends files answers it with a 403 or 400. */
function isFileRefusal(thrown: unknown): boolean {
  if (thrown instanceof ServingError || !(thrown instanceof Error)) return false;
  const { status } = thrown as { readonly status?: unknown };
  return typeof status === 'number' && status >= 400 && status < 500;
}

/** Sets status (the protocol's own) and headers; the caller sends the body. */
export function prepareError(reply: FastifyReply, error: ServingError, status: number): void {
  for (const [name, value] of Object.entries(errorHeaders(error))) reply.header(name, value);
  reply.code(status);
  const { scope } = reply.request;
  scope.onRefusal?.(error);
  // What was answered past the response has said why already.
  scope.receipt.errorCode ??= error.code;
}

export function errorHeaders(error: ServingError): Record<string, string> {
  const { status } = error.spec;
  const headers: Record<string, string> = {};
  if (status === 429 || status === 503) {
    headers['Retry-After'] = String(Math.max(1, error.retryAfterSeconds ?? 1));
    headers['X-Reject-Reason'] = error.code;
  }
  if (UNWANTED_RETRIES.has(error.code)) headers['x-should-retry'] = 'false';
  if (status === 401) headers['WWW-Authenticate'] = 'Bearer';
  if (error.allow !== undefined) headers.Allow = error.allow;
  return headers;
}
