/** How a model file says that a text's vector is made of its tokens' vectors; with it a model is one that embeds. Pure. */

/** By the numbers of llama.cpp; 0 is none. */
const POOLINGS = [undefined, 'mean', 'cls', 'last', 'rank'] as const;

/** `rank` makes one score of a pair of texts, no vector. */
export type Pooling = NonNullable<(typeof POOLINGS)[number]>;

/** The metadata of a GGUF file as the library reads it: `llama.pooling_type` stands under `llama`. */
export interface PoolingMetadata {
  readonly general?: { readonly architecture?: string };
  readonly [architecture: string]: unknown;
}

/** Undefined for a model that generates. */
export function poolingOf(metadata: PoolingMetadata = {}): Pooling | undefined {
  const keys = metadata[metadata.general?.architecture ?? ''] as
    | { readonly pooling_type?: unknown }
    | undefined;
  return POOLINGS[Number(keys?.pooling_type ?? 0)];
}
