/**
 * The one port behind which every engine and server lives: at most six members,
 * an optional capability is an optional member. test/contract holds all implementations to it.
 */

import type { ServingError } from './errors.ts';
import type {
  GenerationEvent,
  GenerationInput,
  GenerationRequest,
  ModelId,
  ReasoningEffort,
  ToolUse,
} from './generation.ts';

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

export interface CallOptions {
  /** Its `reason` is a ServingError that says why. */
  readonly signal: AbortSignal;
}

export interface GenerateOptions {
  /** Prefixes are only reused between generations of one scope; absent: all share. Opaque. */
  readonly cacheScope?: string;
  /** How the client takes the answer. A backend may ask its server for a whole one then. Absent: piece by piece. */
  readonly delivery?: 'whole' | 'stream';
  /** The client is told how long its prompt is before the first piece: `start` has it, where the server tells it by then. */
  readonly promptTokensFirst?: boolean;
  /** Called before a whole answer is asked for: nothing comes until all of it is there. */
  readonly onUnstreamed?: () => void;
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
  readonly thinking?: ReasoningEffort;
  /** Whether tokens are added that begin a text, where the model has such; default true. Says nothing for chats: templates decide. */
  readonly addSpecial?: boolean;
}

/**
 * Told of one generation, in order and in the turn in which it happened: events up to `finish`, or any number of them and
 * then `fail`. After `finish` or `fail` nothing follows. Neither throws, and neither is called before `generate` has returned.
 */
export interface GenerationSink {
  event(event: GenerationEvent): void;
  fail(error: ServingError): void;
}

/** One generation under way. Once it has ended, all of its methods do nothing. */
export interface Generation {
  /** Ends it at once: the sink has been told `fail(reason)` when this returns. The work behind it ends as soon as it can. */
  cancel(reason: ServingError): void;
  /** The sink cannot take more. What is already on its way still comes: a chunk of a socket, or a step of an engine. */
  pause(): void;
  resume(): void;
  /** Settles when the resource behind (slot, socket, sequence) is really free, however the generation ended. Never rejects. */
  readonly released: Promise<void>;
}

/** The model's own vocabulary. Both throw a ServingError, or the signal's reason. */
export interface Tokenizer {
  /** The tokens that a generation with this input would have as its prompt. */
  encode(request: TokenizeRequest, options: CallOptions): Promise<readonly number[]>;
  decode(tokens: readonly number[], options: CallOptions): Promise<string>;
}

/** A place that can generate. */
export interface Backend {
  /** Never throws: what it refuses is told to the sink. */
  generate(request: GenerationRequest, sink: GenerationSink, options: GenerateOptions): Generation;
  /** Cheap; never loads a model. Resolves with a status, also when the backend is down. */
  probe(options: CallOptions): Promise<TargetStatus>;
  /** Loads the model (fetching it first where the backend does that). Throws a ServingError. */
  warmUp(options: CallOptions): Promise<void>;
  /**
   * Absent where nothing behind it ever embeds; a model that cannot is a ServingError('invalid_request'). Settles only
   * when the resource behind is really free, also when `signal` aborts: then it rejects with `signal.reason`.
   */
  embed?(request: EmbeddingRequest, options: CallOptions): Promise<Embeddings>;
  /** Absent where nothing behind it counts or shows tokens. Takes no slot. */
  readonly tokenizer?: Tokenizer;
  /** Frees everything; generations under way fail. */
  close(): Promise<void>;
}

/** Facts of a model's weights, as listings show them; each only where the backend knows it. */
export interface ModelDetails {
  /** SHA-256, 64 lower-case hexadecimal digits: of the file, or what its server knows the model by. */
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

/** Without what is not known. */
export function knownDetails(
  found: {
    readonly [Fact in keyof ModelDetails]: ModelDetails[Fact] | undefined;
  },
): ModelDetails {
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

/** A model as others may know it: configuration, and what the probes last found. */

export interface ServedModel {
  readonly id: ModelId;
  readonly aliases: readonly string[];
  /** Of its targets the largest; tokens. */
  readonly contextSize: number | undefined;
  /** A request for it could be served now. */
  readonly ready: boolean;
  /** What any of its targets can do, as far as they tell. */
  readonly abilities: readonly Ability[];
  /** Of the first of its targets that tells any. */
  readonly details: Omit<ModelDetails, 'digest'>;
  /** No other model's: 64 lower-case hexadecimal digits. */
  readonly digest: string;
  readonly targets: readonly {
    readonly backend: string;
    /** The model's name there. */
    readonly model: string;
    readonly state: TargetState;
    readonly loaded: boolean;
  }[];
}
