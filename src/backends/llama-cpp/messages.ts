/**
 * What supervisor and engine process say to each other. Plain JSON, one discriminated union per direction.
 * `id` is the supervisor's own number of an order, never one that came from outside. `finish`, `embedded`, `tokenized`,
 * `detokenized`, `failed` and `freed` end an order: after any of them the engine holds no work of it.
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

/** `file`: the template in the GGUF file; the others are built in. */
export type ChatTemplateName = 'file' | 'chatml';

type SamplingExtra = 'seed' | 'logitBias' | 'badWords';

export interface EngineGenerationRequest {
  readonly id: number;
  readonly input: GenerationInput;
  /** Complete but for what names a token; an absent seed means a random one. */
  readonly sampling: Required<Omit<Sampling, SamplingExtra>> & Pick<Sampling, SamplingExtra>;
  readonly limits: Limits;
  /** Absent: as the template does when nothing is said. */
  readonly thinking?: ReasoningEffort;
  /** The whole answer follows it. */
  readonly grammar?: CompiledGrammar;
  /**
   * The field of the request that the text is held to, in native words. Absent: the text is free, or the answer has to be
   * calls. Beside tools that may be called the answer is either calls or such text, from its beginning.
   */
  readonly grammarField?: string;
  readonly tools?: ToolUse;
  readonly logprobs?: LogprobsOptions;
  /** Prefixes are reused between generations of one scope only; absent: all that have none share. */
  readonly cacheScope?: string;
}

export interface EngineEmbeddingRequest {
  readonly id: number;
  /** At least one. */
  readonly inputs: readonly EmbeddingInput[];
}

/** About the model's vocabulary: answered at once, between two steps. */
export type TokenizerRequest =
  | ({ readonly type: 'tokenize' } & TokenizeRequest)
  | { readonly type: 'detokenize'; readonly tokens: readonly number[] };

export type EngineTokenizerRequest = TokenizerRequest & { readonly id: number };

export type ToEngine =
  /** `excludedGpus`: not tried under `gpu: auto`, because an earlier engine failed on them. */
  | {
      readonly type: 'load';
      readonly settings: EngineSettings;
      readonly excludedGpus: readonly GpuKind[];
    }
  | { readonly type: 'generate'; readonly generation: EngineGenerationRequest }
  | { readonly type: 'embed'; readonly embedding: EngineEmbeddingRequest }
  | EngineTokenizerRequest
  | { readonly type: 'abort'; readonly id: number }
  /** No step computes for this generation until `resume`; what a step under way brings forth still comes. */
  | { readonly type: 'pause'; readonly id: number }
  | { readonly type: 'resume'; readonly id: number }
  /** Wants `alive`. */
  | { readonly type: 'ping' }
  | { readonly type: 'shutdown' };

/** Something that one request brought forth. */
export interface EngineEvent {
  readonly id: number;
  readonly event: GenerationEvent | EngineReport;
}

/** What a generation does not give: the events of embeddings and questions, and the ends of a request other than `finish`. */
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

export type TokenizerResult = Extract<EngineReport, { type: 'tokenized' | 'detokenized' }>;

export type EngineLogLevel = 'debug' | 'info' | 'warn' | 'error';

export type FromEngine =
  /** The process listens; it now wants `load`. */
  | { readonly type: 'hello' }
  /** The device that was opened; sent before anything is computed on it. */
  | { readonly type: 'device'; readonly device: GpuKind | 'cpu' }
  /** The first token was decoded: whatever the device needs for an answer works. */
  | {
      readonly type: 'loaded';
      readonly contextSize: number;
      readonly abilities: readonly Ability[];
      /** In which the model writes calls of tools; absent: it generates no text. */
      readonly callForm?: ToolCallFormat;
    }
  /** Before it was ever loaded, the same file and settings will fail again: then a restart is of no use. */
  | {
      readonly type: 'load_failed';
      readonly message: string;
      /** The GPU failed, not the model file: another device may do. */
      readonly gpuFailed: boolean;
    }
  /** Everything that one step of the engine brought forth. */
  | { readonly type: 'events'; readonly events: readonly EngineEvent[] }
  /** The answer to `ping`. `progress` counts finished steps and progress of the load: it grows as long as work goes on. */
  | { readonly type: 'alive'; readonly progress: number }
  | { readonly type: 'log'; readonly level: EngineLogLevel; readonly message: string };

/** The kinds of GPU as a log or an error names them. */

export const GPU_NAMES: Readonly<Record<GpuKind, string>> = {
  cuda: 'CUDA',
  vulkan: 'Vulkan',
  metal: 'Metal',
};
