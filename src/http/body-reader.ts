/**
 * From the bytes of a request to the value of its body. Bounds are held while bytes arrive: what exceeds one is refused there and
 * then, and nothing of it is kept. The usual body is one piece that came with its head: it is parsed where it lies.
 */
import type { Clock } from '../core/clock.ts';
import { ServingError, toServingError } from '../core/errors.ts';
import type { BodyBudget, HeldBody } from './body-budget.ts';
import type { EdgeRoute, RequestContext } from './context.ts';
import { BODY_BOUNDS, type BodyBound, JsonScan } from './json-scan.ts';
import { decodeUtf8, isLarge, parseJson } from './json-text.ts';
import { LoopTurns } from './loop-turns.ts';
import { ReceivedBytes } from './received-bytes.ts';

/** Exactly one of the two is called, once. */
export interface BodyOutcome {
  /** Undefined where there was not a byte. */
  done(value: unknown): void;
  failed(error: ServingError): void;
}

export interface ReadOptions {
  readonly limit: EdgeRoute['bodyLimit'];
  /** Of the header; NaN without one: then the body comes in chunks. */
  readonly declaredBytes: number;
}

const BOUND_IN_WORDS: Readonly<Record<BodyBound, (most: string) => string>> = {
  depth: (most) => `is nested more than ${most} levels deep`,
  values: (most) => `has more than ${most} values in its lists and objects`,
  containers: (most) => `has more than ${most} lists and objects`,
  strings: (most) => `has more than ${most} strings and keys`,
  differentKeys: (most) => `has more than ${most} different keys in its objects`,
};

export class BodyReader {
  readonly #budget: BodyBudget;
  readonly #turns: LoopTurns;

  constructor({ budget, clock }: { readonly budget: BodyBudget; readonly clock: Clock }) {
    this.#budget = budget;
    this.#turns = new LoopTurns(clock);
  }

  read(context: RequestContext, options: ReadOptions, outcome: BodyOutcome): void {
    new Reading({ context, budget: this.#budget, turns: this.#turns, ...options }, outcome).start();
  }
}

export function tooLarge({ setting }: EdgeRoute['bodyLimit']): ServingError {
  return new ServingError('body_too_large', {
    message: `The body is larger than this server takes (${setting}). Send less.`,
  });
}

interface ReadingOptions extends ReadOptions {
  readonly context: RequestContext;
  readonly budget: BodyBudget;
  readonly turns: LoopTurns;
}

/** Some clients name the type of a body that they do not send. */
export function valueOfNothing(method: string | undefined): undefined {
  if (method === 'POST') parseJson('');
  return undefined;
}

/** One body under way. Owns what it has received until the value is made. */
class Reading {
  readonly #options: ReadingOptions;
  readonly #outcome: BodyOutcome;
  #received: ReceivedBytes | undefined;
  #scan: JsonScan | undefined;
  #held: HeldBody | undefined;
  /** Why it is over, where it has failed. */
  #failure: ServingError | undefined;
  #isOver = false;

  constructor(options: ReadingOptions, outcome: BodyOutcome) {
    this.#options = options;
    this.#outcome = outcome;
  }

  start(): void {
    const { context, declaredBytes } = this.#options;
    context.onClose(this.#onClose);
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

  /** A body that has fewer bytes than it may have levels exceeds nothing. */
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

  /** May refuse this body. */
  #hold(bytes: number): void {
    const { budget, context } = this.#options;
    this.#held ??= budget.open(context.clientId, (error) => this.#fail(error));
    this.#held.add(bytes);
  }

  readonly #onEnd = (): void => this.#finish(this.#received?.take() ?? Buffer.alloc(0));

  readonly #onClose = (): void => this.#fail(new ServingError('client_gone'));

  #finish(bytes: Buffer): void {
    if (this.#isOver) return;
    const { context } = this.#options;
    context.bodyBytes = bytes.length;
    this.#leave();
    if (isLarge(bytes)) void this.#parseInTurns(bytes);
    else if (bytes.length === 0) this.#settle(() => valueOfNothing(context.request.method));
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
    // The route has a turn of its own, too.
    await turns.next();
    this.#settle(() => value);
  }

  /** A step of a body that has failed meanwhile is not done. */
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

  /** While it is parsed, it fails with its next step. */
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

function boundError(bound: BodyBound): ServingError {
  const words = BOUND_IN_WORDS[bound](BODY_BOUNDS[bound].toLocaleString('en'));
  return new ServingError('invalid_request', { message: `The body ${words}. Send less at a time.` });
}
