/**
 * Renders whatever was thrown, once: by the protocol whose path it is. Headers are the same in every protocol, status and
 * body are the protocol's own.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, type ServingError, toServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Protocol } from '../protocols/protocol.ts';
import { JSON_TYPE, type RequestContext } from './context.ts';

export interface ErrorOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Which protocol answers at a path. */
  readonly protocolAt: (path: string) => Pick<Protocol, 'errors' | 'requestIdHeader'>;
}

/** Enough for what a fast client has under way; a slow one is not waited for. */
const READ_ON_MS = 2000;

/** Official clients would send these again by themselves: the one would triple the load, the other a wrong key. */
const UNWANTED_RETRIES: ReadonlySet<ErrorCode> = new Set(['deadline_exceeded', 'too_many_attempts']);

export class Errors {
  readonly #options: ErrorOptions;

  constructor(options: ErrorOptions) {
    this.#options = options;
  }

  /** Answers with the error. What is thrown after the head of a stream is out changes nothing any more. */
  answer(context: RequestContext, thrown: unknown): void {
    const error = toServingError(thrown);
    if (error.code === 'internal') this.#log(context, thrown);
    if (context.isAnswered) {
      context.receipt.errorCode ??= error.code;
      return;
    }
    const { errors, requestIdHeader } = this.#options.protocolAt(context.routePath);
    context.requestIdHeader = requestIdHeader;
    const { status, body } = errors.render(error, context.receipt.requestId);
    context.onRefusal?.refused(context, error);
    setErrorHeaders(context, error);
    context.receipt.errorCode ??= error.code;
    if (isCutShort(context))
      readOn(context.request, this.#options.clock, () => context.answerJson(status, body));
    else context.answerJson(status, body);
  }

  /** Of a path that cannot be decoded: nothing else about the request is looked at. */
  answerUndecodable(context: RequestContext, error: ServingError): void {
    const { errors } = this.#options.protocolAt(context.path);
    const rendered = errors.render(error, context.receipt.requestId);
    const body = JSON.stringify(rendered.body);
    context.receipt.errorCode = error.code;
    const length = String(Buffer.byteLength(body));
    context.begin(rendered.status, ['content-type', JSON_TYPE, 'content-length', length]);
    context.end(body);
  }

  #log({ receipt }: RequestContext, thrown: unknown): void {
    const stack = thrown instanceof Error ? thrown.stack : String(thrown);
    this.#options.log.error('unexpected error', { requestId: receipt.requestId, stack });
  }
}

function setErrorHeaders(context: RequestContext, error: ServingError): void {
  const { status } = error.spec;
  if (status === 429 || status === 503) {
    context.setHeader('retry-after', String(Math.max(1, error.retryAfterSeconds ?? 1)));
    context.setHeader('x-reject-reason', error.code);
  }
  if (UNWANTED_RETRIES.has(error.code)) context.setHeader('x-should-retry', 'false');
  if (status === 401) context.setHeader('www-authenticate', 'Bearer');
  if (error.allow !== undefined) context.setHeader('allow', error.allow);
}

/** The reading of its body was given up, and the connection is closed with the answer. */
function isCutShort(context: RequestContext): boolean {
  return context.getHeader('connection') === 'close' && !context.request.complete && !context.awaitsContinue;
}

/**
 * Reads on for a moment and throws away: a connection that is closed while its client still sends is reset, and the client
 * never sees why.
 */
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
