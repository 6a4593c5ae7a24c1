/**
 * The one port behind which every engine and server lives: at most six members,
 * an optional capability is an optional member. test/contract holds all implementations to it.
 */
import type {
  GenerationEvent,
  GenerationInput,
  GenerationRequest,
  ModelId,
  ThinkingWish,
  ToolUse,
} from './generation.ts';
import type { ModelDetails } from './model-details.ts';

export type TargetState = 'loading' | 'ready' | 'unloaded' | 'unreachable' | 'not_found' | 'failed';

export type Ability = 'generate' | 'tools' | 'think' | 'see' | 'embed';

export interface TargetStatus {
  readonly state: TargetState;
  /** The weights are in memory now. */
  readonly loaded: boolean;
  /** With `failed`: a restart is under way, so requests may wait for it. */
  readonly restarting?: boolean;
  /** With `unloaded`: the user chose that the model may leave memory when idle, so this is no fault. */
  readonly mayUnload?: boolean;
  /** Requests that its server runs at the same time, where the backend knows it. */
  readonly slots?: number;
  /** Tokens per slot, where the backend knows it. */
  readonly contextSize?: number;
  /** What the model can do, where the backend knows it. */
  readonly abilities?: readonly Ability[];
  /** Of the model, where the backend knows them. */
  readonly details?: ModelDetails;
  /** One sentence for the log: why the state is not `ready`. */
  readonly detail?: string;
}

/** Among whom prompts may be continued from what a slot has cached: all clients, or each client by itself. */
export type CacheIsolation = 'shared' | 'client';

export interface GenerateOptions {
  /** Its `reason` is a ServingError that says why. */
  readonly signal: AbortSignal;
  /** Prefixes are only reused between generations of one scope; absent: all share. Opaque. */
  readonly cacheScope?: string;
  /** How the client takes the answer. A backend may ask its server for a whole one then. Absent: piece by piece. */
  readonly delivery?: 'whole' | 'stream';
  /** The client is told how long its prompt is before the first piece: `start` has it, where the server tells it by then. */
  readonly promptTokensFirst?: boolean;
  /** Called before a whole answer is asked for: nothing comes until all of it is there. */
  readonly onAskedWhole?: () => void;
}

export interface EmbeddingRequest {
  readonly model: ModelId;
  /** At least one; each is embedded by itself. */
  readonly inputs: readonly EmbeddingInput[];
  /** Length of the vectors; absent: the model's own. */
  readonly dimensions?: number;
}

/** A text, or what a client has made tokens of: ids of the model's vocabulary. */
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
  /** Only with chat input. Absent: as the template does when nothing is said. */
  readonly thinking?: ThinkingWish;
  /** Whether tokens are added that begin a text, where the model has such; default true. Says nothing for chats: templates decide. */
  readonly addSpecial?: boolean;
}

/** The model's own vocabulary. Both throw a ServingError, or the signal's reason. */
export interface Tokenizer {
  /** The tokens that a generation with this input would have as its prompt. */
  encode(request: TokenizeRequest, options: GenerateOptions): Promise<readonly number[]>;
  decode(tokens: readonly number[], options: GenerateOptions): Promise<string>;
}

/**
 * A place that can generate.
 *
 * When `signal` aborts, a pending `next()` rejects at once with `signal.reason`; `return()` settles only
 * when the resource behind (slot, socket, sequence) is really free.
 */
export interface Backend {
  generate(request: GenerationRequest, options: GenerateOptions): AsyncIterable<GenerationEvent>;
  /** Cheap; never loads a model. Resolves with a status, also when the backend is down. */
  probe(options: GenerateOptions): Promise<TargetStatus>;
  /** Loads the model (fetching it first where the backend does that). Throws a ServingError. */
  warmUp(options: GenerateOptions): Promise<void>;
  /**
   * Absent where nothing behind it ever embeds; a model that cannot is a ServingError('invalid_request'). Settles only
   * when the resource behind is really free, also when `signal` aborts: then it rejects with `signal.reason`.
   */
  embed?(request: EmbeddingRequest, options: GenerateOptions): Promise<Embeddings>;
  /** Absent where nothing behind it counts or shows tokens. Takes no slot. */
  readonly tokenizer?: Tokenizer;
  /** Frees everything; generations under way fail. */
  close(): Promise<void>;
}
