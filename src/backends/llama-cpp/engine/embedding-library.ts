/**
 * The part of node-llama-cpp that embeddings use. Its own embedding context reads long texts in pieces and pools each by
 * itself, and takes no text that fills its context: so the context below it is used. Tests hold this against the package.
 */
import type { Context, ContextOptions, Model, Token } from './library.ts';

export interface EmbeddingModel extends Omit<Model, 'createContext' | 'tokens'> {
  readonly tokens: SpecialTokens;
  createContext(options: ContextOptions & { readonly _embeddings: true }): Promise<Context>;
}

export interface SpecialTokens {
  readonly bos: Token | null;
  readonly eos: Token | null;
  readonly sep: Token | null;
  readonly shouldPrependBosToken: boolean;
  readonly shouldAppendEosToken: boolean;
}
