/**
 * What node-llama-cpp’s classes are made of: its binding of llama.cpp. The engine decodes on it directly: it arranges its
 * own batches, samples twice from one place, and needs no lock or queue of the library’s. The library promises nothing
 * for these members, so its version is pinned, tests hold these types against its own, and access is here alone.
 */
import type { Context, Llama, Model, Token } from './library.ts';

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
  /** llama.cpp’s own engine for Jinja; throws where the template is none, or refuses what it is given. */
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
/** Of one generation; the native sampler moves it on. */
export type GrammarState = object;

export interface NativeSampler {
  applyConfig(config: SamplerConfig): void;
}

/** What is absent is off; without a temperature the likeliest token is chosen. */
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
 * Steps are the caller’s to arrange: one batch, its decoding, the choice of tokens, the next batch. A sampler is not
 * configured while a choice with it is under way: that happens on the library’s thread.
 */
export interface NativeContext {
  initBatch(tokens: number): void;
  /** Gives where the logits of the tokens at `logitIndexes` are once the batch is decoded. */
  addToBatch(
    sequence: number,
    firstPosition: number,
    tokens: Uint32Array,
    logitIndexes: Uint32Array,
  ): Uint32Array;
  decodeBatch(): Promise<void>;
  /** -1 where nothing can follow. */
  sampleToken(logitIndex: number, sampler: NativeSampler): Promise<Token>;
  sampleToken(
    logitIndex: number,
    sampler: NativeSampler,
    probabilities: false,
    confidence: false,
    /** Logits of all that the sampler has left; or of these tokens (and of the chosen one), with the likeliest. */
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
  /** False where the model’s memory cannot be cut there. */
  removeTokenCellsFromSequence(sequence: number, from: number, to: number): boolean;
  getSequenceKvCacheMinPosition(sequence: number): number;
  copySequenceStateFromOtherSequence(to: number, from: number): Promise<number>;
  /** Of sequence 0, pooled; of a context that was made for embeddings. */
  getEmbedding(tokens: number): Float64Array;
  setThreads(threads: number): void;
}
