/**
 * A protocol as data: its routes, its error bodies, and which request bodies it takes. Pure; http/ registers whatever the catalogue
 * lists and knows no protocol by name.
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
  /** An unknown path below one of these gets this protocol's error body: `/v1/`. The longest that fits decides. */
  readonly pathPrefixes: readonly string[];
  /** `text`: server.body_limit_bytes; `media`: server.media_body_limit_bytes, for bodies that may contain images. */
  readonly bodyLimit: 'text' | 'media';
  /** `any`: bodies are read as JSON, whatever their content type. */
  readonly contentTypes: 'json' | 'any';
  readonly errors: ErrorShape;
  /** A second header for the request id, which its clients read. */
  readonly requestIdHeader?: string;
  /** What its clients read of limits. */
  readonly limitHeaders?: LimitHeaders;
}

export interface LimitHeaders {
  /** All that there can be, in lower case. */
  readonly names: readonly string[];
  /** Adds them, names and values alternating: into a list, since almost every answer has them. `wallNow`: since the Unix epoch. */
  addTo(headers: string[], left: AmountsLeft, wallNow: Milliseconds): void;
}

/** Of the tightest limit of that kind; undefined: there is none. */
export interface AmountsLeft {
  readonly requests: RemainingAmount | undefined;
  readonly tokens: RemainingAmount | undefined;
}

export interface RemainingAmount {
  readonly limit: number;
  readonly remaining: number;
  /** Until a request like this one would be admitted; 0: it would be now. Undefined: never. */
  readonly resetInMs: Milliseconds | undefined;
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

// What all routes have

interface RouteBase {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** `:name` stands for a segment, a last `*` for the rest. */
  readonly path: string;
  readonly describes: RouteDescription;
  /** Native field → its name in this route's bodies, where that differs: for errors and X-Dropped-Parameters. */
  readonly fieldNames?: FieldNames;
}

/** A name; or, where parts of the field have other names too, a function of the rest of its path (`[0].parameters`). */
export type FieldNames = Readonly<Record<string, string | ((rest: string) => string)>>;

/** For OpenAPI. */
interface RouteDescription {
  readonly summary: string;
  readonly description: string;
  readonly body?: BodyDescription;
  /** Of the 200 answer: content type → body, or one event of a stream. Empty where there is never one. */
  readonly answers: Readonly<Record<string, TSchema>>;
}

interface BodyDescription {
  /** The one that `parse` checks with. */
  readonly schema: TSchema;
  /** Fields of which exactly one is given. */
  readonly oneOf?: readonly string[];
  /**
   * At least one, by its name. The default model answers each as it stands with 200; where a model that embeds is needed, it is
   * called `embedder`, and where tokens are counted, the backend must count them.
   */
  readonly examples: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

// Routes that generate

export interface GenerationRoute extends RouteBase {
  readonly kind: 'generation';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: ParseContext): ParsedGeneration;
}

/** What a protocol may know of the server while it parses. */
export interface ParseContext {
  /** A new one with every call. */
  newRequestId(): RequestId;
  /** Finds a model by its id or one of its aliases; without a name, the default model. Throws `model_not_found`. */
  requireModel(name?: string, matching?: NameMatching): FoundModel;
  /** `generation.max_tokens`: the native default. */
  readonly defaultMaxTokens: number;
}

export interface NameMatching {
  /** A name that differs in case matches too, after those that do not. */
  readonly anyCase?: boolean;
}

export interface FoundModel {
  readonly id: ModelId;
  readonly contextSize: number | undefined;
}

export interface ParsedGeneration {
  /** Several where the client wants several answers: each waits, runs and ends by itself. None: no model is asked. */
  readonly requests: readonly GenerationRequest[];
  readonly delivery: 'whole' | 'stream';
  /** A stream begins with the number of prompt tokens. */
  readonly promptTokensFirst?: boolean;
  /** The client's own limit; it can only shorten the server's. */
  readonly timeoutMs: Milliseconds | undefined;
  /** As the client asks for it; http/ decides what it gets. */
  readonly priority: Priority | undefined;
  /** Fields that were dropped, as X-Dropped-Parameters names them. */
  readonly dropped?: readonly string[];
  readonly renderer: AnswerRenderer;
  /** Of this body, where the route has more than one name for a field. */
  readonly fieldNames?: FieldNames | undefined;
}

export interface AnswerRenderer {
  /** Of all requests, in their order. */
  whole(results: readonly GenerationResult[], answer: AnswerContext): unknown;
  /** One encoder for each answer; it keeps the state between two events. */
  stream(answer: AnswerContext): StreamEncoder;
}

/** What an answer shows beside what was generated. */
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
  /** `choice`: which of the requests. Undefined where the protocol sends nothing for the event. */
  encode(event: GenerationEvent, choice: number): string | undefined;
  /** The stream succeeded: all requests have finished. */
  end(): string;
  /** The stream failed. */
  error(error: ServingError, requestId: string): string;
  heartbeat(): string;
  /** For clients that ask with X-Queue-Events: 1; absent where the protocol has no such event. */
  queuePosition?(position: QueuePosition): string;
}

// Routes that embed

export interface EmbeddingRoute extends RouteBase {
  readonly kind: 'embedding';
  readonly method: 'POST';
  /** Throws a ServingError that names the field, the value and the rule. */
  parse(body: unknown, context: Pick<ParseContext, 'requireModel'>): ParsedEmbedding;
}

export interface ParsedEmbedding extends Pick<ParsedGeneration, 'timeoutMs' | 'priority' | 'dropped'> {
  /** Without inputs no model is asked: there are no vectors. */
  readonly request: EmbeddingRequest;
  render(embeddings: Embeddings, answer: EmbeddingAnswerContext): unknown;
}

interface EmbeddingAnswerContext extends AnswerContext {
  readonly id: RequestId;
}

// Routes about models and their vocabulary, which take no slot

export interface QueryRoute extends RouteBase {
  readonly kind: 'query';
  /** It costs work, so it counts for the rate limit. */
  readonly limited: boolean;
  /** Returns a body, or a StreamedAnswer. Throws a ServingError. */
  answer(query: Query, context: QueryContext): unknown;
}

/** Progress of the download of a model file. */
export interface PullProgress {
  readonly label: string;
  readonly doneBytes: number;
  /** 0 where it is not known. */
  readonly totalBytes: number;
}

/** What a query may know of the server. */
export interface QueryContext {
  readonly version: string;
  readonly startedAt: Milliseconds;
  readonly now: Milliseconds;
  readonly defaultModel: ModelId;
  models(): readonly ServedModel[];
  /** By its id or an alias; without a name, the default model. Throws `model_not_found`. */
  requireModel(name?: string, matching?: NameMatching): ServedModel;
  /** Throws where no target of the model can count tokens, or none is up. */
  tokenize(model: ModelId, request: TokenizeRequest): Promise<readonly number[]>;
  detokenize(model: ModelId, tokens: readonly number[]): Promise<string>;
  /** Downloads a catalogue model's file. Throws `forbidden` where the configuration does not allow it, `model_not_found` for an unknown name. */
  pull(name: string): AsyncIterable<PullProgress>;
}

export interface Query {
  readonly body: unknown;
  /** Segments of the path by name; `*` is the rest. */
  readonly params: Readonly<Record<string, string>>;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** An error after the first chunk is for the chunks to report: the 200 has been sent by then. */
export interface StreamedAnswer {
  readonly contentType: string;
  readonly chunks: AsyncIterable<string>;
}

export function isStreamed(answer: unknown): answer is StreamedAnswer {
  return (
    typeof answer === 'object' &&
    answer !== null &&
    Symbol.asyncIterator in Object(Reflect.get(answer, 'chunks'))
  );
}

/** Two protocols may list models on the same path: each has its format, and the request shows which one its client knows. */
export interface ModelListFormat {
  /** The request comes from a client that knows this format. */
  matches(query: Query): boolean;
  list(context: QueryContext): unknown;
  /** `name`: the id or alias of the request. */
  one(name: string, model: ServedModel, context: QueryContext): unknown;
  readonly schemas: { readonly list: TSchema; readonly one: TSchema };
}

/** One entry for each id and each alias. */
export function everyName<Entry>(
  context: QueryContext,
  describe: (name: string, model: ServedModel) => Entry,
): Entry[] {
  return context
    .models()
    .flatMap((model) => [model.id, ...model.aliases].map((name) => describe(name, model)));
}
