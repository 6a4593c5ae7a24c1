/**
 * Reads log-probabilities at the place of a token: the model's own distribution over the whole vocabulary, as
 * llama.cpp's server gives it, whatever the sampling settings are. Owns two native samplers that choose nothing.
 */
import type { LikelyToken, TokenLogprob } from '../../../core/generation.ts';
import type { Token } from './library.ts';
import type { NativeContext, NativeSampler } from './native.ts';
import type { TokenBytes } from './token-bytes.ts';

const NOTHING_FILTERED = { topP: 1, minP: 0, seed: 0 } as const;

export class LogprobReader {
  readonly #context: NativeContext;
  readonly #bytesOf: TokenBytes;
  /** Sees the whole vocabulary: sums it up. */
  readonly #weigher: NativeSampler;
  /** Keeps the likeliest alone: sorting all of them takes milliseconds. */
  readonly #ranker: NativeSampler;

  constructor(options: {
    readonly context: NativeContext;
    readonly bytesOf: TokenBytes;
    readonly createSampler: () => NativeSampler;
  }) {
    this.#context = options.context;
    this.#bytesOf = options.bytesOf;
    this.#weigher = options.createSampler();
    this.#weigher.applyConfig({ temperature: 0 });
    this.#ranker = options.createSampler();
  }

  /** `top`: how many of the likeliest are told; 0 for none. */
  async read(logitIndex: number, token: Token, top: number): Promise<TokenLogprob> {
    const [likeliest, , , logits = [], weight = 1] = await this.#context.sampleToken(
      logitIndex,
      this.#weigher,
      false,
      false,
      [[token], false, false, true, 0],
      true,
    );
    const logitOf = new Map(pairs(logits));
    // The weight is the sum over all tokens, relative to the likeliest one.
    const norm = (logitOf.get(likeliest) ?? 0) + Math.log(weight);
    const describe = (of: Token, logit: number): LikelyToken => ({
      token: of,
      bytes: this.#bytesOf(of),
      logprob: Math.min(0, logit - norm),
    });
    const ranked = top === 0 ? [] : await this.#rank(logitIndex, top);
    const own = logitOf.get(token) ?? Number.NEGATIVE_INFINITY;
    return { ...describe(token, own), top: ranked.map(([of, logit]) => describe(of, logit)) };
  }

  async #rank(logitIndex: number, top: number): Promise<readonly (readonly [Token, number])[]> {
    this.#ranker.applyConfig({ ...NOTHING_FILTERED, temperature: 1, topK: top });
    const [, , , logits = []] = await this.#context.sampleToken(
      logitIndex,
      this.#ranker,
      false,
      false,
      true,
      false,
    );
    return pairs(logits).sort(([, a], [, b]) => b - a);
  }
}

/** The library gives token and value in turn. */
function pairs(flat: readonly number[]): (readonly [Token, number])[] {
  const found: (readonly [Token, number])[] = [];
  for (let index = 0; index + 1 < flat.length; index += 2) {
    found.push([flat[index] as number, flat[index + 1] as number]);
  }
  return found;
}
