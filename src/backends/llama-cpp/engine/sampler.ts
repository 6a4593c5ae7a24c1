/**
 * Chooses tokens for one generation after another on one sequence: each begins with a state of its own, the same for
 * the same seed. Owns the native sampler, which is kept because each has room for the whole vocabulary.
 */
import { randomInt } from 'node:crypto';
import type { EngineGeneration } from '../messages.ts';
import type { Token } from './library.ts';
import type { GrammarState, NativeContext, NativeSampler, SamplerConfig } from './native.ts';

/** As in llama.cpp: penalties look at the last 64 tokens; here only at those of the answer. */
const PENALIZED_TOKENS = 64;
const COLDEST = 0.001;
const LARGEST_SEED = 2 ** 31 - 1;

export class Sampler {
  readonly #native: NativeSampler;
  #seed = 0;
  #config: SamplerConfig = {};

  constructor(native: NativeSampler) {
    this.#native = native;
  }

  begin(sampling: EngineGeneration['sampling']): void {
    const seed = sampling.seed ?? randomInt(LARGEST_SEED);
    // The native one keeps what a setting has gathered until the setting changes: it is changed to another seed, and
    // to no penalties and no grammar, so that nothing is left of the generation before.
    this.#native.applyConfig({ temperature: 0, seed: seed === this.#seed ? seed + 1 : this.#seed });
    this.#config = configFor(sampling, seed);
    this.#native.applyConfig(this.#config);
    this.#seed = seed;
  }

  /** From now on only what the grammar allows is chosen; penalties begin anew. */
  constrain(grammar: GrammarState): void {
    this.#native.applyConfig({ ...this.#config, grammarEvaluationState: grammar });
  }

  /** Lets go of the grammar. */
  end(): void {
    this.#native.applyConfig({ temperature: 0, seed: this.#seed });
  }

  /** Throws where nothing can follow. */
  async sample(context: NativeContext, logitIndex: number): Promise<Token> {
    const token = await context.sampleToken(logitIndex, this.#native);
    if (token < 0) throw new Error('No token can follow.');
    return token;
  }
}

function configFor(sampling: EngineGeneration['sampling'], seed: number): SamplerConfig {
  const { temperature, topP, topK, minP, repeatPenalty, presencePenalty, frequencyPenalty } = sampling;
  const penalizes = repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
  const biases = sampling.logitBias ?? [];
  return {
    // So little would be infinite in the logits.
    temperature: temperature < COLDEST ? 0 : temperature,
    topP,
    minP,
    seed,
    // 0 would sort the whole vocabulary for nothing.
    ...(topK > 0 && { topK }),
    ...(penalizes && {
      repeatPenalty,
      repeatPenaltyMaxTokens: PENALIZED_TOKENS,
      repeatPenaltyTokens: new Uint32Array(),
      repeatPenaltyPresencePenalty: presencePenalty,
      repeatPenaltyFrequencyPenalty: frequencyPenalty,
    }),
    ...(biases.length > 0 && {
      tokenBiasKeys: Uint32Array.from(biases, ({ token }) => token),
      tokenBiasValues: Float32Array.from(biases, ({ bias }) => bias),
    }),
  };
}
