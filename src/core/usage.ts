/** What one generation consumed, in tokens. */
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** The part of `completionTokens` that was thought, where it is counted apart. */
  readonly reasoningTokens?: number;
  /** The part of `promptTokens` that was already in the model's cache. */
  readonly cachedTokens: number;
}
