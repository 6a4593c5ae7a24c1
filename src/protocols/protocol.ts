/**
 * A protocol as data: its routes, how it says that something went wrong, and which bodies it takes. Pure; http/ registers
 * whatever the catalogue lists and knows none by name.
 */

import type { TSchema } from 'typebox';
import type { EmbeddingRequest, Embeddings, ServedModel, TokenizeRequest } from '../core/backend.ts';
import type { Milliseconds } from '../core/clock.ts';
import type { ServingError } from '../core/errors.ts';
import type {
  GenerationEvent,
  GenerationRequest,
  GenerationResult,
  ModelId,
  RequestId,
} from '../core/generation.ts';
import type { Priority } from '../core/priority.ts';
import type { QueuePosition, RequestTrace, Timings } from '../core/request-trace.ts';

export type Route = GenerationRoute | EmbeddingRoute | QueryRoute;

export interface Protocol {
  readonly name: string;
  readonly routes: readonly Route[];
  /** Paths below these that lead nowhere are answered in this protocol's words: `/v1/`. The longest that fits decides. */
  readonly pathPrefixes: readonly string[];
  /** `text`: server.body_limit_bytes; `media`: server.media_body_limit_bytes, for bodies that may bring pictures along. */
  readonly bodyLimit: 'text' | 'media';
  /** `any`: bodies are read as JSON whatever their content type says. */
  readonly contentTypes: 'json' | 'any';
  readonly errors: ErrorShape;
  /** A second name for X-Request-Id that its clients read. */
  readonly requestIdHeader?: string;
}

export interface ErrorShape {
  render(error: ServingError, requestId: string): RenderedError;
  /** Of the body, for OpenAPI. */
  readonly schema: TSchema;
}

export interface RenderedError {
  readonly status: number;
  readonly body: unknown;
}

/** What every route says of itself, whatever it does. */

export interface RouteBase {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As the framework writes it: `:name` for a segment, a last `*` for the rest. */
  readonly path: string;
  readonly describes: RouteDescription;
  /** Native field → what this route calls it, where that differs: errors and X-Dropped-Parameters speak so. */
  readonly fieldNames?: FieldNames;
}

/** A name; or, where the parts of the field have other names too, what is made of the rest of its path: `[0].parameters`. */
export type FieldNames = Readonly<Record<string, string | ((rest: string) => string)>>;

interface RouteDescription {
  readonly summary: string;
  readonly description: string;
  /** Of the request, where it has one. */
  readonly body?: TSchema;
  /** A body that is answered with 200 by the default model as it stands; `embedder` names a model that embeds. */
  readonly example?: Readonly<Record<string, unknown>>;
  /** Fields of the body of which exactly one is given. */
  readonly oneOf?: readonly string[];
  /** Of the 200 answer: content type → body, or one event of a stream. Empty where there is never one. */
  readonly answers: Readonly<Record<string, TSchema>>;
}

/** A route that generates: how a body becomes GenerationRequests, and how their events become an answer. Pure. */

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
  readonly trace: RequestTrace;
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
  queuePosition?(place: QueuePosition): string;
}

export interface GenerationRoute extends RouteBase {
  readonly kind: 'generation';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: ParseContext): ParsedGeneration;
}

/** A route that embeds: how a body becomes an EmbeddingRequest and how vectors become a body. Pure. */

export interface ParsedEmbedding extends Pick<ParsedGeneration, 'timeoutMs' | 'priority' | 'dropped'> {
  /** Without inputs no model is asked: there are no vectors. */
  readonly request: EmbeddingRequest;
  render(embeddings: Embeddings, answer: EmbeddingAnswerContext): unknown;
}

interface EmbeddingAnswerContext extends AnswerContext {
  readonly id: RequestId;
}

export interface EmbeddingRoute extends RouteBase {
  readonly kind: 'embedding';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: Pick<ParseContext, 'requireModel'>): ParsedEmbedding;
}

/** A route that asks about models or of their vocabulary, and takes no slot: what it may ask of the server, and what it answers. */

/** How far a model file is that is being fetched. */
export interface PullProgress {
  readonly label: string;
  readonly doneBytes: number;
  /** 0 where nobody knows. */
  readonly totalBytes: number;
}

/** What a query may ask of the server. */
export interface QueryContext {
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
export interface StreamedAnswer {
  readonly contentType: string;
  readonly pieces: AsyncIterable<string>;
}

export interface QueryRoute extends RouteBase {
  readonly kind: 'query';
  /** It costs work: it counts for the rate limit. */
  readonly limited: boolean;
  /** A body, or pieces where `isPiecewise` says so. Throws a ServingError. */
  answer(query: Query, house: QueryContext): unknown;
}

export function isStreamed(answer: unknown): answer is StreamedAnswer {
  return (
    typeof answer === 'object' &&
    answer !== null &&
    Symbol.asyncIterator in Object(Reflect.get(answer, 'pieces'))
  );
}
