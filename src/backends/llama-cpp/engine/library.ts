/**
 * All that is known of node-llama-cpp. First its public part, as types of our own: the package is optional, so neither
 * the build nor any other backend may need it. Then its binding of llama.cpp, on which the engine decodes directly: it
 * arranges its own batches, samples twice from one place, and needs no lock or queue of the library's. The library
 * promises nothing for these members, so its version is pinned. Tests hold all of these types against the package's own.
 */
import type { GpuKind } from '../messages.ts';

export type Token = number;

export interface Library {
  getLlama(options: LlamaOptions): Promise<Llama>;
  /** Those with drivers on this machine; `false` is the CPU. */
  getLlamaGpuTypes(include: 'supported'): Promise<readonly GpuType[]>;
}

export interface LlamaOptions {
  /** `exclude`: kinds that are not tried. */
  readonly gpu: { readonly type: 'auto'; readonly exclude: GpuKind[] } | false;
  readonly build: 'never';
  readonly skipDownload: boolean;
  readonly progressLogs: boolean;
  readonly maxThreads: number;
  readonly logger: (level: string, message: string) => void;
}

export type GpuType = GpuKind | false;

export interface Llama {
  readonly gpu: GpuType;
  getGpuDeviceNames(): Promise<string[]>;
  loadModel(options: ModelOptions): Promise<Model>;
}

export interface ModelOptions {
  readonly modelPath: string;
  /** A number of layers, or as many as fit beside a context of so many tokens. */
  readonly gpuLayers: number | { readonly fitContext: { readonly contextSize: number } };
  readonly onLoadProgress: () => void;
}

export interface Model {
  readonly trainContextSize: number;
  readonly vocabularyType: 'none' | 'spm' | 'bpe' | 'wpm' | 'ugm' | 'rwkv' | 'plamo2';
  readonly gpuLayers: number;
  readonly fileInsights: { readonly totalLayers: number };
  readonly fileInfo: { readonly metadata?: { readonly tokenizer?: { readonly chat_template?: string } } };
  readonly tokens: {
    readonly bos: Token | null;
    readonly eos: Token | null;
    readonly shouldPrependBosToken: boolean;
  };
  tokenize(text: string, specialTokens?: boolean): Token[];
  detokenize(tokens: readonly Token[], specialTokens?: boolean, lastTokens?: readonly Token[]): string;
  isEogToken(token: Token | undefined): boolean;
  getTokenAttributes(token: Token): TokenAttributes;
  iterateAllTokens(): Iterable<Token>;
  createContext(options: ContextOptions): Promise<Context>;
}

interface TokenAttributes {
  readonly control: boolean;
  readonly unknown: boolean;
  readonly userDefined: boolean;
  /** White space before it, or after it, belongs to it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

export interface ContextOptions {
  /** Of one sequence; the library allocates it for each. */
  readonly contextSize: number;
  readonly sequences: number;
  readonly batchSize: number;
  readonly threads: number;
  /** `auto`: on if the hardware supports it. */
  readonly flashAttention: 'auto' | false;
  /** `false`: never a smaller context than asked for. */
  readonly failedCreationRemedy: false;
}

export type Context = object;

/** The optional package is not installed. */
export class LibraryMissingError extends Error {}

export async function importLibrary(): Promise<Library> {
  const name: string = 'node-llama-cpp';
  try {
    return (await import(name)) as Library;
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    throw new LibraryMissingError(`${name} is not installed`, { cause });
  }
}

export function bindingsOf(llama: Llama): NativeBindings {
  return memberOf(llama, '_bindings', 'AddonSampler');
}

export function nativeModelOf(model: Model): NativeModel {
  return memberOf(model, '_model', 'getTokenString');
}

export function nativeContextOf(context: Context): NativeContext {
  return memberOf(context, '_ctx', 'decodeBatch');
}

function memberOf<T>(holder: object, name: string, has: string): T {
  const member = (holder as Readonly<Record<string, T | undefined>>)[name];
  if (typeof (member as Readonly<Record<string, unknown>> | undefined)?.[has] === 'function')
    return member as T;
  throw new Error(
    'This version of node-llama-cpp is not the one that the engine was made for: run npm install.',
  );
}

export interface NativeBindings {
  readonly AddonSampler: new (model: NativeModel) => NativeSampler;
  readonly AddonGrammar: new (
    grammar: string,
    options: { readonly addonExports: object; readonly rootRuleName: string },
  ) => NativeGrammar;
  /** llama.cpp’s own Jinja engine; throws if the text is no template, or if the template rejects its variables. */
  readonly AddonJinjaRenderer: new (
    template: string,
  ) => JinjaRenderer;
  readonly AddonGrammarEvaluationState: new (model: NativeModel, grammar: NativeGrammar) => GrammarState;
}

export interface JinjaRenderer {
  render(variables?: Record<string, unknown>): string;
}

export interface NativeModel {
  getTokenString(token: Token): string;
}

export type NativeGrammar = object;
/** Of one generation; the native sampler advances it. */
export type GrammarState = object;

export interface NativeSampler {
  applyConfig(config: SamplerConfig): void;
}

/** An absent setting is off; without a temperature the likeliest token is chosen. */
export interface SamplerConfig {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly seed?: number;
  readonly repeatPenalty?: number;
  readonly repeatPenaltyMaxTokens?: number;
  readonly repeatPenaltyTokens?: Uint32Array;
  readonly repeatPenaltyPresencePenalty?: number;
  readonly repeatPenaltyFrequencyPenalty?: number;
  readonly tokenBiasKeys?: Uint32Array;
  readonly tokenBiasValues?: Float32Array;
  readonly grammarEvaluationState?: GrammarState;
}

/**
 * The caller arranges the steps: one batch, its decoding, the choice of tokens, the next batch. A sampler must not be
 * configured while it chooses a token, which it does on the library’s thread.
 */
export interface NativeContext {
  initBatch(tokens: number): void;
  /** Returns where the logits of the tokens at `logitIndexes` are once the batch is decoded. */
  addToBatch(
    sequence: number,
    firstPosition: number,
    tokens: Uint32Array,
    logitIndexes: Uint32Array,
  ): Uint32Array;
  decodeBatch(): Promise<void>;
  /** -1 if no token can follow. */
  sampleToken(logitIndex: number, sampler: NativeSampler): Promise<Token>;
  sampleToken(
    logitIndex: number,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    /** Logits of all tokens that the sampler has left; or of these tokens (and the chosen one), with the likeliest. */
    logits:
      | true
      | readonly [
          tokens: readonly Token[],
          highest: false,
          lowest: false,
          chosen: boolean,
          likeliest: number,
        ],
    totalWeight: boolean,
  ): Promise<
    readonly [
      token: Token,
      probabilities: undefined,
      confidence: undefined,
      logits: readonly number[] | undefined,
      totalWeight: number | undefined,
    ]
  >;
  disposeSequence(sequence: number): void;
  /** False if the model’s memory cannot be cut there. */
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
  getSequenceKvCacheMinPosition(sequence: number): number;
  copySequenceStateFromOtherSequence(to: number, from: number): Promise<number>;
  /** Of sequence 0, pooled; of a context that was made for embeddings. */
  getEmbedding(tokens: number): Float64Array;
  setThreads(threads: number): void;
}
