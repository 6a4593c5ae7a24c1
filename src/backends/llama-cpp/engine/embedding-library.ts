/**
 * The part of node-llama-cpp that embeddings use. Its own embedding context reads long texts in pieces and pools each by
 * itself, and takes no text that fills its context: so the context below it is used. Tests hold this against the package.
 */
import type { ContextOptions, Model, Token } from './library.ts';

export interface EmbeddingModel extends Omit<Model, 'createContext' | 'tokens'> {
  /** How texts become tokens; `wpm` is BERT's way. */
  readonly vocabularyType: string;
  readonly tokens: SpecialTokens;
  createContext(options: ContextOptions & { readonly _embeddings: true }): Promise<EmbeddingContext>;
}

export interface SpecialTokens {
  readonly bos: Token | null;
  readonly eos: Token | null;
  readonly sep: Token | null;
  readonly shouldPrependBosToken: boolean;
  readonly shouldAppendEosToken: boolean;
}

export interface EmbeddingContext {
  readonly _ctx: NativeContext;
}

export interface NativeContext {
  setThreads(threads: number): void;
  initBatch(tokens: number): void;
  addToBatch(sequence: number, position: number, tokens: Uint32Array, withLogits: Uint32Array): unknown;
  decodeBatch(): Promise<void>;
  /** Of sequence 0, pooled. */
  getEmbedding(tokens: number): Float64Array;
  /** Forgets what the sequence holds. */
  disposeSequence(sequence: number): void;
}
