/**
 * From the bytes of a request to the value of its body, which is JSON in UTF-8. Limits are enforced while bytes arrive: a body that
 * exceeds one is refused at once, and nothing of it is kept. The usual body is one piece that comes with the head: it is parsed
 * without a copy. Whether the value is a valid request is checked by the route's protocol.
 */
import { isAscii, isUtf8, transcode } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import { BODY_BOUNDS, type BodyBound, type BodyBudget, type HeldBody, JsonScan } from './body-limits.ts';
import type { EdgeRoute, RequestContext } from './context.ts';

const JSON_MEDIA_TYPE = /^application\/json\s*(;|$)/i;
/** The body of such a request is ignored. */
const BODYLESS_METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);

const NO_BODY = { bytes: 0, setting: '' };

/** By the headers alone, before the body is read. */
export function checkContentType({ request, match }: RequestContext): void {
  if (match === undefined || match.route.takesAnyType) return;
  const { headers, method } = request;
  const type = headers['content-type'];
  if (type !== undefined ? JSON_MEDIA_TYPE.test(type) : !hasBody(request)) return;
  if (method !== 'POST' && !hasBody(request)) return;
  throw new ServingError('unsupported_media_type', {
    message: 'The content type is not supported. Send JSON with "content-type: application/json".',
  });
}

/** Exactly one of the two is called, once. */
interface BodyOutcome {
  /** Undefined where there is no body. */
  done(value: unknown): void;
  failed(error: ServingError): void;
}

/** Reads the bodies of a server's requests. */
export class JsonBody {
  readonly #budget: BodyBudget;
  readonly #turns: LoopTurns;

  constructor({ budget, clock }: { readonly budget: BodyBudget; readonly clock: Clock }) {
    this.#budget = budget;
    this.#turns = new LoopTurns(clock);
  }

  /** Calls back with the value or an error; at once where there is no body. Throws what the headers alone decide. */
  read(context: RequestContext, outcome: BodyOutcome): void {
    const { request, match } = context;
    const { headers, method } = request;
    const isAbsent = !hasBody(request);
    if (BODYLESS_METHODS.has(method) || (isAbsent && headers['content-type'] === undefined)) {
      outcome.done(undefined);
      return;
    }
    refuseEncoding(request);
    const limit = match?.route.bodyLimit ?? NO_BODY;
    if (isAbsent) {
      outcome.done(valueOfNoBody(method, limit));
      return;
    }
    const declaredBytes = Number(headers['content-length'] ?? Number.NaN);
    // A body that is announced as too large is refused before any of it is read.
    if (declaredBytes > limit.bytes) throw tooLarge(limit);
    if (context.awaitsContinue) {
      context.response.writeContinue();
      context.awaitsContinue = false;
    }
    const options = { context, budget: this.#budget, turns: this.#turns, limit, declaredBytes };
    new BodyReading(options, outcome).start();
  }
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

/** Compressed bodies are not accepted: a small one could unpack to any size. */
function refuseEncoding(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding'];
  if (encoding === undefined || encoding.toLowerCase() === 'identity' || !hasBody(request)) return;
  throw new ServingError('unsupported_media_type', {
    message: 'Compressed bodies (content-encoding) are not supported. Send the body uncompressed.',
  });
}

function tooLarge({ setting }: EdgeRoute['bodyLimit']): ServingError {
  return new ServingError('body_too_large', {
    message: `The body is larger than this server accepts (${setting}). Send less.`,
  });
}

interface ReadingOptions {
  readonly context: RequestContext;
  readonly budget: BodyBudget;
  readonly turns: LoopTurns;
  readonly limit: EdgeRoute['bodyLimit'];
  /** By the header; NaN without one: then the body comes in chunks. */
  readonly declaredBytes: number;
}

/** Some clients send a content type without a body; only a POST whose route takes one needs it. */
function valueOfNoBody(method: string | undefined, limit: EdgeRoute['bodyLimit']): undefined {
  if (method === 'POST' && limit.bytes > 0 && limit.isOptional !== true) parseJson('');
  return undefined;
}

/** One body that is being received and parsed. Owns its bytes until the value is there. */
class BodyReading {
  readonly #options: ReadingOptions;
  readonly #outcome: BodyOutcome;
  #received: ReceivedBytes | undefined;
  #scan: JsonScan | undefined;
  #held: HeldBody | undefined;
  #failure: ServingError | undefined;
  #isOver = false;

  constructor(options: ReadingOptions, outcome: BodyOutcome) {
    this.#options = options;
    this.#outcome = outcome;
  }

  start(): void {
    const { context, declaredBytes } = this.#options;
    context.onClose(this.#onClose);
    // What limits refuse is not read to its end.
    context.pendingLimits?.admitted.catch((refusal: unknown) => this.#fail(toServingError(refusal)));
    if (Number.isNaN(declaredBytes)) context.request.on('end', this.#onEnd);
    context.request.on('data', this.#onData);
  }

  readonly #onData = (piece: Buffer): void => {
    const { limit, declaredBytes } = this.#options;
    const before = this.#received?.length ?? 0;
    const excess = before + piece.length > limit.bytes ? tooLarge(limit) : this.#excessOf(piece);
    if (excess !== undefined) this.#fail(excess);
    else if (before === 0 && piece.length === declaredBytes) this.#finish(piece);
    else this.#keep(piece);
  };

  /** A body with fewer bytes than the levels that it may have exceeds no bound. */
  #excessOf(piece: Buffer): ServingError | undefined {
    if (this.#scan === undefined && this.#options.declaredBytes <= BODY_BOUNDS.depth) return undefined;
    this.#scan ??= new JsonScan();
    const bound = this.#scan.push(piece);
    return bound === undefined ? undefined : boundError(bound);
  }

  #keep(piece: Buffer): void {
    this.#received ??= new ReceivedBytes();
    this.#received.add(piece);
    this.#hold(piece.length);
    if (this.#received?.length === this.#options.declaredBytes) this.#finish(this.#received.take());
  }

  /** The budget may refuse this body, through `#fail`. */
  #hold(bytes: number): void {
    const { budget, context } = this.#options;
    this.#held ??= budget.open(context.client, (error) => this.#fail(error));
    this.#held.add(bytes);
  }

  readonly #onEnd = (): void => this.#finish(this.#received?.take() ?? Buffer.alloc(0));

  readonly #onClose = (): void => this.#fail(new ServingError('client_gone'));

  #finish(bytes: Buffer): void {
    if (this.#isOver) return;
    const { context, limit } = this.#options;
    context.bodyBytes = bytes.length;
    this.#leave();
    if (isLarge(bytes)) void this.#parseInTurns(bytes);
    else if (bytes.length === 0) this.#settle(() => valueOfNoBody(context.request.method, limit));
    else this.#settle(() => parseJson(decodeUtf8(bytes)));
  }

  async #parseInTurns(bytes: Buffer): Promise<void> {
    const { turns } = this.#options;
    await turns.next();
    let text: string | undefined;
    this.#attempt(() => {
      text = decodeUtf8(bytes);
    });
    await turns.next();
    let value: unknown;
    this.#attempt(() => {
      value = parseJson(text ?? '');
    });
    // The route runs in a turn of its own, too.
    await turns.next();
    this.#settle(() => value);
  }

  /** Runs a step, unless the body has failed meanwhile. */
  #attempt(run: () => void): void {
    if (this.#failure !== undefined) return;
    if (this.#options.context.request.socket.destroyed) this.#failure = new ServingError('client_gone');
    else this.#try(run);
  }

  #try(run: () => void): void {
    try {
      run();
    } catch (thrown) {
      this.#failure = toServingError(thrown);
    }
  }

  #settle(make: () => unknown): void {
    let value: unknown;
    if (this.#failure === undefined) {
      this.#try(() => {
        value = make();
      });
    }
    this.#isOver = true;
    this.#held?.release();
    if (this.#failure !== undefined) this.#outcome.failed(this.#failure);
    else this.#outcome.done(value);
  }

  /** A body that is being parsed fails at its next step. */
  #fail(error: ServingError): void {
    if (this.#isOver || this.#failure !== undefined) return;
    this.#failure = error;
    if (this.#options.context.bodyBytes !== undefined) return;
    this.#leave();
    this.#received = undefined;
    this.#settle(() => undefined);
  }

  #leave(): void {
    const { context } = this.#options;
    context.offClose(this.#onClose);
    context.request.off('data', this.#onData).off('end', this.#onEnd);
  }
}

const BOUND_IN_WORDS: Readonly<Record<BodyBound, (most: string) => string>> = {
  depth: (most) => `is nested more than ${most} levels deep`,
  values: (most) => `has more than ${most} values in its lists and objects`,
  containers: (most) => `has more than ${most} lists and objects`,
  strings: (most) => `has more than ${most} strings and keys`,
  differentKeys: (most) => `has more than ${most} different keys in its objects`,
};

function boundError(bound: BodyBound): ServingError {
  const words = BOUND_IN_WORDS[bound](BODY_BOUNDS[bound].toLocaleString('en'));
  return new ServingError('invalid_request', { message: `The body ${words}. Send less at a time.` });
}

const BYTE_ORDER_MARK = 0xfeff;
/** Larger bodies are decoded and parsed in turns of their own, by means that are faster per byte and slower to start. */
const LARGE_BYTES = 65_536;

export function isLarge(bytes: Buffer): boolean {
  return bytes.length > LARGE_BYTES;
}

export function decodeUtf8(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new ServingError('invalid_json', { message: 'The body is not valid UTF-8.' });
  const text = isLarge(bytes) ? decodeLarge(bytes) : bytes.toString('utf8');
  return text.charCodeAt(0) === BYTE_ORDER_MARK ? text.slice(1) : text;
}

/** `toString('utf8')` takes up to 0.2 s for the largest body; these take a tenth of that. */
function decodeLarge(bytes: Buffer): string {
  return isAscii(bytes) ? bytes.toString('latin1') : transcode(bytes, 'utf8', 'utf16le').toString('utf16le');
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = /\S/.test(text)
      ? `The body is not valid JSON: ${(error as Error).message}`
      : 'The body is empty. Send a JSON object.';
    throw new ServingError('invalid_json', { message });
  }
}

const MAX_BLOCK_BYTES = 65_536;

/**
 * The bytes of a body as they arrive. Pieces are copied together: otherwise a body that comes byte by byte would cost the server
 * hundreds of bytes for each.
 */
export class ReceivedBytes {
  #blocks: Buffer[] = [];
  /** Bytes used of the last block. */
  #used = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: Buffer): void {
    const last = this.#blocks.at(-1);
    const copied = last === undefined ? 0 : piece.copy(last, this.#used);
    this.#used += copied;
    const rest = piece.subarray(copied);
    if (rest.length > 0) {
      // As large as everything so far, so that at most half of the memory is unused.
      const block = Buffer.allocUnsafeSlow(Math.max(rest.length, Math.min(this.#length, MAX_BLOCK_BYTES)));
      this.#used = rest.copy(block);
      this.#blocks.push(block);
    }
    this.#length += piece.length;
  }

  /** Returns all bytes and drops the blocks. */
  take(): Buffer {
    const blocks = this.#blocks;
    this.#blocks = [];
    const [only] = blocks;
    if (only !== undefined && blocks.length === 1) return only.subarray(0, this.#length);
    return Buffer.concat(blocks, this.#length);
  }
}

/** Gives each long piece of work a turn of the event loop of its own, so that other requests are served between two of them. */
export class LoopTurns {
  readonly #clock: Pick<Clock, 'atEndOfTurn'>;
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Pick<Clock, 'atEndOfTurn'>) {
    this.#clock = clock;
  }

  /** Resolves in a turn that no other piece of work has. In the order of the calls. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#clock.atEndOfTurn(this.#give);
    });
  }

  readonly #give = (): void => {
    this.#waiting.shift()?.();
    if (this.#waiting.length > 0) this.#clock.atEndOfTurn(this.#give);
  };
}
