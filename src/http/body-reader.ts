/**
 * From the stream of a request to the value of its body. Bounds are held while bytes arrive: what exceeds one is refused there and
 * then, and nothing of it is kept. Owns what it has received until the value is made.
 */
import type { IncomingMessage } from 'node:http';
import { errorCodes } from 'fastify';
import type { Clock } from '../core/clock.ts';
import { ServingError } from '../core/errors.ts';
import type { BodyBudget, HeldBody } from './body-budget.ts';
import { BODY_BOUNDS, type BodyBound, JsonScan } from './json-scan.ts';
import { decodeUtf8, isLarge, parseJson } from './json-text.ts';
import { LoopTurns } from './loop-turns.ts';
import { ReceivedBytes } from './received-bytes.ts';

export interface ReadOptions {
  readonly client: string;
  readonly limitBytes: number;
  /** Of the header; NaN without one. */
  readonly declaredBytes: number;
  /** Called with the number of bytes, before they are parsed. */
  readonly onReceived: (bytes: number) => void;
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

  /** Undefined where there was not a byte. Rejects with a ServingError, or an error that `fromFastify` knows. */
  async read(stream: IncomingMessage, options: ReadOptions): Promise<unknown> {
    const displacement = new AbortController();
    const held = this.#budget.open(options.client, (error) => displacement.abort(error));
    try {
      const bytes = await receive(stream, { ...options, held, signal: displacement.signal });
      options.onReceived(bytes.length);
      if (bytes.length === 0) return undefined;
      if (!isLarge(bytes)) return parseJson(decodeUtf8(bytes));
      return await this.#parseInTurns(bytes, () => {
        displacement.signal.throwIfAborted();
        if (stream.socket.destroyed) throw new ServingError('client_gone');
      });
    } finally {
      held.release();
    }
  }

  async #parseInTurns(bytes: Buffer, throwIfOver: () => void): Promise<unknown> {
    await this.#turns.next();
    throwIfOver();
    const text = decodeUtf8(bytes);
    await this.#turns.next();
    throwIfOver();
    const value = parseJson(text);
    // The route has a turn of its own, too.
    await this.#turns.next();
    return value;
  }
}

function receive(
  stream: IncomingMessage,
  {
    limitBytes,
    declaredBytes,
    held,
    signal,
  }: ReadOptions & { readonly held: HeldBody; readonly signal: AbortSignal },
): Promise<Buffer> {
  if (declaredBytes > limitBytes) return Promise.reject(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
  const received = new ReceivedBytes();
  const scan = new JsonScan();
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      stream.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onDisplaced);
      settled();
    };
    const onError = (error: unknown) => settle(() => reject(error));
    const onData = (piece: Buffer) => {
      if (received.length + piece.length > limitBytes)
        return onError(new errorCodes.FST_ERR_CTP_BODY_TOO_LARGE());
      const exceeded = scan.push(piece);
      if (exceeded !== undefined) return onError(boundError(exceeded));
      received.add(piece);
      held.add(piece.length);
    };
    const onEnd = () => {
      if (!Number.isNaN(declaredBytes) && received.length !== declaredBytes)
        return onError(new errorCodes.FST_ERR_CTP_INVALID_CONTENT_LENGTH());
      settle(() => resolve(received.take()));
    };
    const onClose = () => onError(new ServingError('client_gone'));
    const onDisplaced = () => onError(signal.reason);
    stream.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onDisplaced);
  });
}

function boundError(bound: BodyBound): ServingError {
  const words = BOUND_IN_WORDS[bound](BODY_BOUNDS[bound].toLocaleString('en'));
  return new ServingError('invalid_request', { message: `The body ${words}. Send less at a time.` });
}
