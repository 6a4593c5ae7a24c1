/**
 * Errors as responses, rendered once, by the protocol of the path: status and body are the protocol's own, headers the same in every
 * protocol. What never became a request is answered by client-errors.ts.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { type ErrorCode, type ServingError, toServingError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Protocol } from '../protocols/protocol.ts';
import { JSON_TYPE, type RequestContext } from './context.ts';

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
