/**
 * The port that every engine and every server is used through: at most six members; an optional capability is an optional
 * member. test/contract holds all implementations to it. And what the port reports of targets and models.
 */
import type { Milliseconds } from './clock.ts';
import type { ServingError } from './errors.ts';
import type {
  GenerationEvent,
  GenerationInput,
  GenerationRequest,
  ModelId,
  ReasoningEffort,
  ToolUse,
} from './generation.ts';
import type { Priority } from './priority.ts';

export type TargetState = 'loading' | 'ready' | 'unloaded' | 'unreachable' | 'not_found' | 'failed';

export type Ability = 'generate' | 'tools' | 'think' | 'see' | 'embed';

/** A server's own report of its load: of all models that it serves, and from all who use it. */
export interface LoadReport {
  /** Requests in its batch. */
  readonly running?: number;
  /** Requests in its own queue. */
  readonly waiting?: number;
  /** Part of the KV cache in use, 0 to 1. */
  readonly kvCacheUsed?: number;
}

export interface TargetStatus {
  readonly state: TargetState;
  /** The weights are in memory now. */
  readonly loaded: boolean;
  /** With `failed`: a restart is under way, so requests may wait for it. */
  readonly restarting?: boolean;
  /** With `unloaded`: the user allows the model to leave memory when idle, so this is no fault. */
  readonly mayUnload?: boolean;
  /** Requests that its server runs at the same time, where the backend knows it. */
  readonly slots?: number;
  /** As its server reports it, where it does. */
  readonly load?: LoadReport;
  /** Of an engine of ours, 0 to 1: for those who look. Routing knows all of its requests, and needs no report. */
  readonly kvCacheUsed?: number;
  /** Tokens per slot, where the backend knows it. */
  readonly contextSize?: number;
  /** What the model can do, where the backend knows it. */
  readonly abilities?: readonly Ability[];
  /** Of the model, where the backend knows them. */
  readonly details?: ModelDetails;
  /** One sentence for the log: why the state is not `ready`. */
  readonly detail?: string;
}

/**
 * Which clients share cached prompt prefixes: all of them, or each only its own. `by_keys`: nobody has decided; each only its own, as soon
 * as there is more than one key.
 */
export type CacheIsolation = 'shared' | 'client' | 'by_keys';

/** Names the instances of this software that a request came through, so that a loop of servers is noticed. */
export const HOPS_HEADER = 'x-llm-serve-hops';

/**
 * What goes along to a remote server with a request of a client: it says whose request this is, and where it came through. What follows
 * `tracestate` is sent only where the target's server is told whom to serve next (`router`).
 */
export interface Along {
  readonly requestId: string;
  /** Value of `HOPS_HEADER` in the request. */
  readonly hops: string | undefined;
  /** The W3C headers of the trace that the call belongs to. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** What its share of the slots goes by. It may be an address, so no server is sent it as it is. */
  readonly client: string;
  /** As granted, not as asked for. */
  readonly priority: Priority;
  readonly receivedAt: Milliseconds;
  /** Where the client has set a time limit of its own. */
  readonly deadlineAt: Milliseconds | undefined;
}

export interface CallOptions {
  /** Its `reason` is a ServingError. */
  readonly signal: AbortSignal;
  /** Absent where no client's request causes the call. */
  readonly along?: Along | undefined;
}

export interface GenerateOptions extends Pick<CallOptions, 'along'> {
  /** Prefixes are only reused between generations of one scope; absent: all share. Opaque. */
  readonly cacheScope?: string;
  /** How the client takes the answer; absent: `stream`. With `whole`, a backend may ask its server without streaming. */
  readonly delivery?: 'whole' | 'stream';
  /** The client gets the length of its prompt before the first token: `start` has it, where the server reports it by then. */
  readonly promptTokensFirst?: boolean;
  /** Called before the server is asked without streaming: no event follows until the whole answer is there. */
  readonly onUnstreamed?: () => void;
  /**
   * The answer begins with these tokens, which an earlier generation of the same request at the same target had in its `tokens`. Their
   * events come again. Only where that one had any.
   */
  readonly begunWith?: readonly number[];
  /** Called for each event of the server that cannot be read, whether it is skipped or breaks the answer. */
  readonly onMalformedEvent?: () => void;
  /** Called with the load that the server reports with a whole answer. */
  readonly onLoad?: (load: LoadReport) => void;
}

export interface EmbeddingRequest {
  readonly model: ModelId;
  /** At least one; each is embedded on its own. */
  readonly inputs: readonly EmbeddingInput[];
  /** Length of the vectors; absent: the model's own. */
  readonly dimensions?: number;
  /** The client's name for its end user, for servers that take one. */
  readonly user?: string;
}

/** A text, or ids of tokens of the model's vocabulary. */
export type EmbeddingInput = string | readonly number[];

export interface Embeddings {
  /** One for each input, in their order; all of one length. */
  readonly vectors: readonly (readonly number[])[];
  readonly promptTokens: number;
}

export interface TokenizeRequest {
  readonly input: GenerationInput;
  /** Only with chat input. */
  readonly tools?: ToolUse;
  /** Only with chat input. Absent: the template's default. */
  readonly thinking?: ReasoningEffort;
  /** Whether the model's tokens that begin a text are added, if it has any; default true. Ignored for chats: their template decides. */
  readonly addSpecial?: boolean;
}

/**
 * Receives one generation, in order and in the turn in which it happens: events up to `finish`, or any number of them and then
 * `fail`. Nothing follows `finish` or `fail`. Neither method throws, and neither is called before `generate` has returned.
 */
export interface GenerationSink {
  event(event: GenerationEvent): void;
  fail(error: ServingError): void;
}

/** One generation under way. Once it has ended, all of its methods do nothing. */
export interface Generation {
  /** Ends it at once: `fail(reason)` has been called when this returns. The work behind it ends as soon as it can. */
  cancel(reason: ServingError): void;
  /** The sink cannot take more. What is already under way still comes: a chunk of a socket, or a step of an engine. */
  pause(): void;
  resume(): void;
  /** Settles when the resource behind it (slot, socket, sequence) is really free, however the generation ended. Never rejects. */
  readonly released: Promise<void>;
  /** The answer's tokens of which events have come, in their order; absent where the backend cannot begin an answer with them. */
  readonly tokens?: readonly number[];
}

/** The model's own vocabulary. Both throw a ServingError, or the signal's reason. */
export interface Tokenizer {
  /** The tokens that a generation with this input would have as its prompt. */
  encode(request: TokenizeRequest, options: CallOptions): Promise<readonly number[]>;
  decode(tokens: readonly number[], options: CallOptions): Promise<string>;
}

export interface Backend {
  /** Never throws: a refusal goes to the sink. */
  generate(request: GenerationRequest, sink: GenerationSink, options: GenerateOptions): Generation;
  /** Cheap; never loads a model. Resolves with a status even when the backend is down. */
  probe(options: CallOptions): Promise<TargetStatus>;
  /** Loads the model (fetching it first where the backend does that). Throws a ServingError. */
  warmUp(options: CallOptions): Promise<void>;
  /**
   * Absent where no model behind it embeds; for a model that does not, it rejects with `invalid_request`. Settles only when the
   * resource behind it is really free, also when `signal` aborts: then it rejects with `signal.reason`.
   */
  embed?(request: EmbeddingRequest, options: CallOptions): Promise<Embeddings>;
  /** Absent where nothing behind it tokenizes. Takes no slot. */
  readonly tokenizer?: Tokenizer;
  /** Frees everything; generations under way fail. */
  close(): Promise<void>;
}

/** Facts about a model's weights, as listings show them; each only where the backend knows it. */
export interface ModelDetails {
  /** SHA-256, 64 lower-case hexadecimal digits: of the file, or the server's own for the model. */
  readonly digest?: string;
  /** Of the file. */
  readonly sizeBytes?: number;
  /** Of the file: `gguf`. */
  readonly format?: string;
  /** The architecture: `llama`. */
  readonly family?: string;
  readonly families?: readonly string[];
  /** `134.52M`. */
  readonly parameterSize?: string;
  /** How most of its numbers are stored: `Q4_K_M`. */
  readonly quantization?: string;
  /** Tokens that it was trained for. */
  readonly trainedContextSize?: number;
  /** Numbers of a vector inside the model. */
  readonly embeddingLength?: number;
}

/** The details without those that are undefined. */
export function knownDetails(
  found: {
    readonly [Fact in keyof ModelDetails]: ModelDetails[Fact] | undefined;
  },
): ModelDetails {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** A model as listings show it: from the configuration, and what the probes last found. */
export interface ServedModel {
  readonly id: ModelId;
  readonly aliases: readonly string[];
  /** The largest of its targets; tokens. */
  readonly contextSize: number | undefined;
  /** A request for it could be served now. */
  readonly ready: boolean;
  /** What any of its targets can do, as far as they report it. */
  readonly abilities: readonly Ability[];
  /** Of the first target that reports any. */
  readonly details: Omit<ModelDetails, 'digest'>;
  /** Unique to the model: 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly targets: readonly {
    readonly backend: string;
    /** The model's name there. */
    readonly model: string;
    readonly state: TargetState;
    readonly loaded: boolean;
  }[];
}
