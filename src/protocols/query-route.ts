/** A route that asks about models or of their vocabulary, and takes no slot: what it may ask of the server, and what it answers. */
import type { TokenizeRequest } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ModelId } from '../core/generation.ts';
import type { ServedModel } from '../core/served-model.ts';
import type { NameMatching } from './generation-route.ts';
import type { RouteBase } from './route-base.ts';

/** How far a model file is that is being fetched. */
export interface PullProgress {
  readonly label: string;
  readonly doneBytes: number;
  /** 0 where nobody knows. */
  readonly totalBytes: number;
}

/** What a query may ask of the server. */
export interface House {
  readonly version: string;
  readonly startedAt: Milliseconds;
  readonly now: Milliseconds;
  readonly defaultModel: ModelId;
  models(): readonly ServedModel[];
  /** By its id or an alias; without a name, the default model. Throws `model_not_found`. */
  requireModel(name?: string, matching?: NameMatching): ServedModel;
  /** Throws where no target of the model counts tokens, or none is up. */
  tokenize(model: ModelId, request: TokenizeRequest): Promise<readonly number[]>;
  detokenize(model: ModelId, tokens: readonly number[]): Promise<string>;
  /** Fetches a catalogue model's file. Throws `forbidden` where the configuration does not allow it, `model_not_found` for an unknown name. */
  pull(name: string): AsyncIterable<PullProgress>;
}

export interface Query {
  readonly body: unknown;
  /** Segments of the path by name; `*` is the rest. */
  readonly params: Readonly<Record<string, string>>;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** An answer that comes in pieces. What fails after the first is for its pieces to say: the 200 is out by then. */
export interface PiecewiseAnswer {
  readonly contentType: string;
  readonly pieces: AsyncIterable<string>;
}

export interface QueryRoute extends RouteBase {
  readonly kind: 'query';
  /** It costs work: it counts for the rate limit. */
  readonly limited: boolean;
  /** A body, or pieces where `isPiecewise` says so. Throws a ServingError. */
  answer(query: Query, house: House): unknown;
}

export function isPiecewise(answer: unknown): answer is PiecewiseAnswer {
  return (
    typeof answer === 'object' &&
    answer !== null &&
    Symbol.asyncIterator in Object(Reflect.get(answer, 'pieces'))
  );
}
