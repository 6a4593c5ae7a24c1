/**
 * The messages between the engine's process and those that use it: plain JSON, one discriminated union for each direction. The
 * supervisor, its parent, may send all of them; a guest, another process with a connection of its own, sends `WorkForEngine` and gets
 * `events`. `id` is the sender's own number of a request, never one from outside. `finish`, `embedded`, `tokenized`, `detokenized`,
 * `failed` and `freed` end a request: after any of them the engine holds no work of it.
 */
import type { Ability, EmbeddingInput, TokenizeRequest } from '../../core/backend.ts';
import type { ErrorCode } from '../../core/errors.ts';
import type {
  GenerationEvent,
  GenerationInput,
  Limits,
  LogprobsOptions,
  ReasoningEffort,
  Sampling,
  ToolUse,
} from '../../core/generation.ts';
import type { CompiledGrammar, ToolCallFormat } from './grammar/answer-grammar.ts';

export interface EngineSettings {
  readonly modelPath: string;
  /** Tokens per sequence. */
  readonly contextSize: number;
  readonly sequences: number;
  readonly chatTemplate: ChatTemplateName;
  readonly gpu: GpuSetting;
  readonly flashAttention: boolean;
  /** Absent: one per usable core. */
  readonly threads?: number;
}

/** A number is how many layers the GPU takes. */
export type GpuSetting = 'auto' | 'off' | number;

/** The kinds of GPU that there are builds of the engine for. */
export type GpuKind = 'cuda' | 'vulkan' | 'metal';

/** As a log or an error names them. */
export const GPU_NAMES: Readonly<Record<GpuKind, string>> = {
  cuda: 'CUDA',
  vulkan: 'Vulkan',
  metal: 'Metal',
};

/** `file`: the template in the GGUF file; the others are built in. */
export type ChatTemplateName = 'file' | 'chatml';

type OptionalSampling = 'seed' | 'logitBias' | 'badWords';
/** Refused before, where they would change anything. */
type UnsupportedSampling = 'repeatLastN' | 'typicalP' | 'mirostat';

export interface EngineGenerationRequest {
  readonly id: number;
  readonly input: GenerationInput;
  /** Complete, but for the fields that name tokens. An absent seed is a random one. */
  readonly sampling: Required<Omit<Sampling, OptionalSampling | UnsupportedSampling>> &
    Pick<Sampling, OptionalSampling>;
  readonly limits: Limits;
  /** Absent: the template's own default. */
  readonly thinking?: ReasoningEffort;
  /** The client says nothing of it. */
  readonly thinkingIsDefault?: true;
  /** The whole answer follows it. */
  readonly grammar?: CompiledGrammar;
  /**
   * The field of the request, by its native name, that constrains the text. Absent: the text is free, or the answer has
   * to be tool calls. With tools that may be called, the answer is either calls or constrained text, from its beginning.
   */
  readonly grammarField?: string;
  readonly tools?: ToolUse;
  readonly logprobs?: LogprobsOptions;
  /** The answer begins with these tokens, whose events come again. Not with a grammar or log-probabilities. */
  readonly begunWith?: readonly number[];
  /** Events come with the tokens that they were made of. */
  readonly reportsTokens?: true;
  /** Cached prefixes are reused only between generations of one scope; those without a scope share theirs. */
  readonly cacheScope?: string;
}

export interface EngineEmbeddingRequest {
  readonly id: number;
  /** At least one. */
  readonly inputs: readonly EmbeddingInput[];
}

/** Concerns the model's vocabulary alone: answered at once, between two steps. */
export type TokenizerRequest =
  | ({ readonly type: 'tokenize' } & TokenizeRequest)
  | { readonly type: 'detokenize'; readonly tokens: readonly number[] };

export type EngineTokenizerRequest = TokenizerRequest & { readonly id: number };

/** A request, or what is to become of one. */
export type WorkForEngine =
  | { readonly type: 'generate'; readonly generation: EngineGenerationRequest }
  | { readonly type: 'embed'; readonly embedding: EngineEmbeddingRequest }
  | EngineTokenizerRequest
  | { readonly type: 'abort'; readonly id: number }
  /** No step computes for it until `resume`. Events of a step that has begun still come. */
  | { readonly type: 'pause'; readonly id: number }
  | { readonly type: 'resume'; readonly id: number };

export type ToEngine =
  /**
   * `excludedGpus`: not tried under `gpu: auto`, because an earlier engine failed on them. `guestAddress`: where guests can connect
   * once it is loaded; absent: there are none.
   */
  | {
      readonly type: 'load';
      readonly settings: EngineSettings;
      readonly excludedGpus: readonly GpuKind[];
      readonly guestAddress?: string;
    }
  | WorkForEngine
  /** Answered with `alive`. */
  | { readonly type: 'ping' }
  | { readonly type: 'shutdown' };

/** An event with the request that it belongs to, as it travels between the processes. */
export interface EngineEvent {
  readonly id: number;
  readonly event: GenerationEvent | EngineReport;
  /** Of an answer whose request wants them: all that have been chosen since the last event with tokens. */
  readonly tokens?: readonly number[];
}

/** The events beside those of a generation: of embeddings and tokenizer requests, and every end other than `finish`. */
export type EngineReport =
  /** One for each input of an embedding, in their order. */
  | { readonly type: 'vector'; readonly values: readonly number[] }
  | { readonly type: 'embedded'; readonly promptTokens: number }
  | { readonly type: 'tokenized'; readonly tokens: readonly number[] }
  | { readonly type: 'detokenized'; readonly text: string }
  | {
      readonly type: 'failed';
      readonly code: ErrorCode;
      readonly message: string;
      readonly param?: string;
    }
  /** It was aborted. */
  | { readonly type: 'freed' };

/** After these the engine holds no work of the request. */
export const FINAL_EVENTS: ReadonlySet<EngineEvent['event']['type']> = new Set([
  'finish',
  'embedded',
  'tokenized',
  'detokenized',
  'failed',
  'freed',
]);

export type TokenizerResult = Extract<EngineReport, { type: 'tokenized' | 'detokenized' }>;

export type EngineLogLevel = 'debug' | 'info' | 'warn' | 'error';

/** All events of one step of the engine, of the requests of one process. */
export interface EngineEvents {
  readonly type: 'events';
  readonly events: readonly EngineEvent[];
}

export type FromEngine =
  /** The process is ready for `load`. */
  | { readonly type: 'hello' }
  /** The device that was opened; sent before anything is computed on it. */
  | { readonly type: 'device'; readonly device: GpuKind | 'cpu' }
  /** A first token was decoded: the device can do whatever an answer needs. */
  | {
      readonly type: 'loaded';
      readonly contextSize: number;
      readonly abilities: readonly Ability[];
      /** How the model writes tool calls; absent: it generates no text. */
      readonly toolCallFormat?: ToolCallFormat;
    }
  /** If the model has never been loaded, the same file and settings fail again: a restart is of no use. */
  | {
      readonly type: 'load_failed';
      readonly message: string;
      /** The GPU failed, not the model file: another device may work. */
      readonly gpuFailed: boolean;
    }
  | EngineEvents
  /**
   * The answer to `ping`. `progress` counts finished steps and progress of the load: it grows as long as work goes on.
   * `worksForGuests`: steps are due for guests. `kvCacheUsed`: the part of it that requests hold, 0 to 1, where there is one.
   */
  | {
      readonly type: 'alive';
      readonly progress: number;
      readonly worksForGuests: boolean;
      readonly kvCacheUsed?: number | undefined;
    }
  | { readonly type: 'log'; readonly level: EngineLogLevel; readonly message: string };

/** What either process reports where the optional package is not installed. */
export const LIBRARY_MISSING =
  'The embedded engine needs the optional dependency node-llama-cpp: npm install node-llama-cpp, ' +
  'or use another backend: --backend ollama --url http://127.0.0.1:11434 --model NAME.';
