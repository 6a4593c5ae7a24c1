/** A route as data: how a body becomes a GenerationRequest and how events become bytes. Pure; http/ registers whatever the catalogue lists. */
import type { TSchema } from 'typebox';
import type { Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { GenerationEvent, GenerationRequest, ModelId, RequestId } from '../core/generation.ts';
import type { GenerationResult } from '../core/generation-result.ts';
import type { Priority } from '../core/priority.ts';
import type { QueuePlace, Receipt, Timings } from '../core/receipt.ts';

/** What a protocol may know of the server while it parses. */
export interface ParseContext {
  readonly requestId: RequestId;
  readonly defaultModel: ModelId;
  /** Throws `model_not_found`. */
  requireModel(model: ModelId): { readonly contextSize: number | undefined };
  /** `generation.max_tokens`: the native default. */
  readonly defaultMaxTokens: number;
}

export interface ParsedGeneration {
  readonly request: GenerationRequest;
  readonly delivery: 'whole' | 'stream';
  /** The client's own limit; it can only shorten the server's. */
  readonly timeoutMs: Milliseconds | undefined;
  /** What the client wishes; what it gets is for the edge to say. */
  readonly priority: Priority | undefined;
}

/** What an answer tells beside the generated text. */
export interface AnswerContext {
  readonly request: GenerationRequest;
  readonly receipt: Receipt;
  timings(): Timings;
}

export interface StreamEncoding {
  readonly contentType: string;
  /** The bytes of one event; undefined where the protocol has nothing to say for it. */
  encode(event: GenerationEvent, answer: AnswerContext): string | undefined;
  /** After the finish event: the stream succeeded. */
  end(answer: AnswerContext): string;
  /** Instead of the rest: the stream failed. */
  error(error: ServingError, requestId: string): string;
  readonly heartbeat: string;
  /** For clients that ask with X-Queue-Events: 1; absent where the protocol has no such event. */
  place?(place: QueuePlace): string;
}

export interface RouteDescription {
  readonly summary: string;
  readonly description: string;
  /** Of the 200 answer. */
  readonly answer: TSchema;
  readonly answerContentType: string;
}

export interface GenerationRoute {
  readonly kind: 'generation';
  readonly method: 'POST';
  readonly path: string;
  readonly body: TSchema;
  readonly describes: RouteDescription;
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: ParseContext): ParsedGeneration;
  whole(result: GenerationResult, answer: AnswerContext): unknown;
  readonly stream: StreamEncoding;
  renderError(error: ServingError, requestId: string): unknown;
}
