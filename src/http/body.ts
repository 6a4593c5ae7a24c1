/** Bodies are JSON in UTF-8 and nothing else; what they must hold is for the route's protocol to say. */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { BodyBudget } from './body-budget.ts';
import { type BodyOutcome, BodyReader, tooLarge, valueOfNothing } from './body-reader.ts';
import type { RequestContext } from './context.ts';

const JSON_TYPE = /^application\/json\s*(;|$)/i;
/** Whatever such a request brings along is not looked at. */
const BODYLESS_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);

const NO_BODY = { bytes: 0, setting: '' };

/** By the headers alone, before the body is read. */
export function checkContentType({ request, match }: RequestContext): void {
  if (match === undefined || match.route.takesAnyType) return;
  const { headers, method } = request;
  const type = headers['content-type'];
  if (type !== undefined ? JSON_TYPE.test(type) : !hasBody(request)) return;
  if (method !== 'POST' && !hasBody(request)) return;
  throw new ServingError('unsupported_media_type', {
    message: 'The content type is not supported. Send JSON with "content-type: application/json".',
  });
}

export class JsonBody {
  readonly #reader: BodyReader;

  constructor(options: { readonly clock: Clock; readonly budget: BodyBudget }) {
    this.#reader = new BodyReader(options);
  }

  /** Calls back with the value, at once where there is no body, or with what refuses it; not where the client has left. */
  read(context: RequestContext, outcome: BodyOutcome): void {
    const { request, match } = context;
    const { headers, method } = request;
    const isAbsent = !hasBody(request);
    if (BODYLESS_METHODS.has(method) || (isAbsent && headers['content-type'] === undefined)) {
      outcome.done(undefined);
      return;
    }
    refuseEncoding(request);
    if (isAbsent) {
      outcome.done(valueOfNothing(method));
      return;
    }
    const declaredBytes = Number(headers['content-length'] ?? Number.NaN);
    const limit = match?.route.bodyLimit ?? NO_BODY;
    // A body that is announced as too large is refused before a byte of it is under way.
    if (declaredBytes > limit.bytes) throw tooLarge(limit);
    if (context.awaitsContinue) {
      context.response.writeContinue();
      context.awaitsContinue = false;
    }
    this.#reader.read(context, { limit, declaredBytes }, outcome);
  }
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** A small body could unpack to any size, so none is unpacked. */
function refuseEncoding(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity' || !hasBody(request)) return;
  throw new ServingError('unsupported_media_type', {
    message: 'The body is compressed (content-encoding), which is not supported. Send it as it is.',
  });
}
