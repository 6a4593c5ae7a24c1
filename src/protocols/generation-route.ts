/** A route that generates: how a body becomes GenerationRequests, and how their events become an answer. Pure. */
import type { Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type { GenerationEvent, GenerationRequest, ModelId, RequestId } from '../core/generation.ts';
import type { GenerationResult } from '../core/generation-result.ts';
import type { Priority } from '../core/priority.ts';
import type { QueuePlace, Receipt, Timings } from '../core/receipt.ts';
import type { FieldNames, RouteBase } from './route-base.ts';

/** What a protocol may know of the server while it parses. */
export interface ParseContext {
  /** Another one with every call. */
  newRequestId(): RequestId;
  /** Finds a model by its id or one of its aliases; without a name, the default model. Throws `model_not_found`. */
  requireModel(name?: string, matching?: NameMatching): FoundModel;
  /** `generation.max_tokens`: the native default. */
  readonly defaultMaxTokens: number;
}

export interface NameMatching {
  /** Also one that differs in case. One that does not comes first. */
  readonly anyCase?: boolean;
}

export interface FoundModel {
  readonly id: ModelId;
  readonly contextSize: number | undefined;
}

export interface ParsedGeneration {
  /** More than one where the client asks for several answers: each waits, runs and ends by itself. None: no model is asked. */
  readonly requests: readonly GenerationRequest[];
  readonly delivery: 'whole' | 'stream';
  /** What a stream begins with says how long the prompt is. */
  readonly promptTokensFirst?: boolean;
  /** The client's own limit; it can only shorten the server's. */
  readonly timeoutMs: Milliseconds | undefined;
  /** What the client wishes; what it gets is for the edge to say. */
  readonly priority: Priority | undefined;
  /** Fields that no backend here could honour and that were dropped, as X-Dropped-Parameters names them. Absent: none. */
  readonly dropped?: readonly string[];
  readonly renderer: AnswerRenderer;
  /** What this body calls native fields, where a route has more than one name for one. */
  readonly fieldNames?: FieldNames | undefined;
}

export interface AnswerRenderer {
  /** Of all requests, in their order. */
  whole(results: readonly GenerationResult[], answer: AnswerContext): unknown;
  /** Called once for each answer; the encoder keeps what it has to remember between two events. */
  stream(answer: AnswerContext): StreamEncoder;
}

/** What an answer tells beside the generated text. */
export interface AnswerContext {
  readonly receipt: Receipt;
  /** Milliseconds since the Unix epoch. */
  readonly createdAt: Milliseconds;
  timings(): Timings;
}

/**
 * The bytes of one streamed answer. The stream commits with the first bytes that `encode` gives, so `start` events, which
 * come before a backend has shown that it can answer, give none.
 */
export interface StreamEncoder {
  readonly contentType: string;
  /** `choice`: which of the requests. Undefined where the protocol has nothing to say for the event. */
  encode(event: GenerationEvent, choice: number): string | undefined;
  /** All have finished: the stream succeeded. */
  end(): string;
  /** Instead of the rest: the stream failed. */
  error(error: ServingError, requestId: string): string;
  heartbeat(): string;
  /** For clients that ask with X-Queue-Events: 1; absent where the protocol has no such event. */
  place?(place: QueuePlace): string;
}

export interface GenerationRoute extends RouteBase {
  readonly kind: 'generation';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: ParseContext): ParsedGeneration;
}
