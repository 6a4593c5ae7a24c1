import { describe, expect, it } from 'vitest';
import type { SamplerConfig } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { Sampler } from '../../../../../src/backends/llama-cpp/engine/sampler.ts';

const PLAIN = {
  temperature: 0.8,
  topP: 0.9,
  topK: 40,
  minP: 0,
  repeatPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
};

function recording() {
  const configs: SamplerConfig[] = [];
  return { configs, sampler: new Sampler({ applyConfig: (config) => void configs.push(config) }, [2, 3]) };
}

describe('the sampler of a sequence', () => {
  it('begins anew for the same seed: another comes between', () => {
    const { configs, sampler } = recording();
    sampler.begin({ sampling: { ...PLAIN, seed: 7 }, limits: { stop: [] } });
    sampler.begin({ sampling: { ...PLAIN, seed: 7 }, limits: { stop: [] } });
    expect(configs[1]).toEqual({ temperature: 0.8, topP: 0.9, topK: 40, minP: 0, seed: 7 });
    expect(configs[2]?.seed).not.toBe(7);
    expect(configs[3]).toEqual(configs[1]);
  });

  it('leaves nothing of penalties, biases and grammar behind', () => {
    const { configs, sampler } = recording();
    sampler.begin({
      sampling: { ...PLAIN, seed: 1, repeatPenalty: 1.1, logitBias: [{ token: 5, bias: -100 }] },
      limits: { stop: [] },
    });
    expect(configs.at(-1)).toMatchObject({
      repeatPenalty: expect.closeTo(1.1),
      tokenBiasKeys: Uint32Array.of(5),
      tokenBiasValues: Float32Array.of(-100),
    });
    const grammar = {};
    sampler.constrain(grammar);
    expect(configs.at(-1)).toMatchObject({ grammarEvaluationState: grammar, repeatPenaltyMaxTokens: 64 });
    sampler.end();
    expect(Object.keys(configs.at(-1) ?? {})).toEqual(['temperature', 'seed']);
  });

  it('sorts no vocabulary for a top_k that is off', () => {
    const { configs, sampler } = recording();
    sampler.begin({ sampling: { ...PLAIN, seed: 1, topK: 0 }, limits: { stop: [] } });
    expect(configs.at(-1)).not.toHaveProperty('topK');
  });

  it('chooses no end of a turn before so many tokens, and then goes on as it was', async () => {
    const { configs, sampler } = recording();
    const chosen = [7, 8, 9];
    const context = { sampleToken: async () => chosen.shift() } as never;
    const sampling = {
      ...PLAIN,
      seed: 1,
      repeatPenalty: 1.1,
      logitBias: [
        { token: 5, bias: 1 },
        { token: 3, bias: 50 },
      ],
    };
    sampler.begin({ sampling, limits: { stop: [], minTokens: 2 } });
    expect(configs.at(-1)).toMatchObject({
      tokenBiasKeys: Uint32Array.of(5, 2, 3),
      tokenBiasValues: Float32Array.of(1, -10_000, -10_000),
    });
    await sampler.sample(context, 0);
    await sampler.sample(context, 0);
    expect(configs).toHaveLength(2);
    const grammar = {};
    sampler.constrain(grammar);
    expect(configs.at(-1)).toMatchObject({ repeatPenaltyTokens: Uint32Array.of() });
    await sampler.sample(context, 0);
    expect(configs.at(-1)).toEqual({
      ...configs[1],
      tokenBiasKeys: Uint32Array.of(5, 3),
      tokenBiasValues: Float32Array.of(1, 50),
      grammarEvaluationState: grammar,
    });
  });

  it('passes the penalized tokens to the native sampler when the model may end', async () => {
    const { configs, sampler } = recording();
    const chosen = [7, 8, 9];
    const context = { sampleToken: async () => chosen.shift() } as never;
    const sampling = { ...PLAIN, seed: 1, repeatPenalty: 1.1 };
    sampler.begin({ sampling, limits: { stop: [], minTokens: 2 } });
    for (let token = 0; token < 3; token += 1) await sampler.sample(context, 0);
    expect(configs).toHaveLength(3);
    expect(configs.at(-1)).toMatchObject({ repeatPenaltyTokens: Uint32Array.of(7, 8) });
    expect(configs.at(-1)).not.toHaveProperty('tokenBiasKeys');
  });

  it('never chooses the end where it is to be ignored, and begins anew with the next', async () => {
    const { configs, sampler } = recording();
    const context = { sampleToken: async () => 7 } as never;
    sampler.begin({ sampling: { ...PLAIN, seed: 1 }, limits: { stop: [], ignoreEos: true, minTokens: 1 } });
    for (let token = 0; token < 100; token += 1) await sampler.sample(context, 0);
    expect(configs).toHaveLength(2);
    expect(configs.at(-1)).toMatchObject({ tokenBiasKeys: Uint32Array.of(2, 3) });
    sampler.begin({ sampling: { ...PLAIN, seed: 1 }, limits: { stop: [] } });
    expect(configs.at(-1)).not.toHaveProperty('tokenBiasKeys');
  });

  it('rules out the last token of a sequence where the others have come, and only there', async () => {
    const { configs, sampler } = recording();
    const chosen = [7, 8, 7, 9];
    const context = { sampleToken: async () => chosen.shift() } as never;
    const sampling = { ...PLAIN, seed: 1, repeatPenalty: 1.1, logitBias: [{ token: 8, bias: 3 }] };
    sampler.begin({ sampling, limits: { stop: [] } }, [[5], [7, 8, 6], [7, 8]]);
    const ruledOut = () => [...(configs.at(-1)?.tokenBiasKeys ?? [])];
    expect(ruledOut()).toEqual([8, 5]);
    await sampler.sample(context, 0);
    await sampler.sample(context, 0);
    expect(ruledOut()).toEqual([5, 8]);
    expect(configs.at(-1)?.tokenBiasValues).toEqual(Float32Array.of(-10_000, -10_000));
    expect(configs.at(-1)?.repeatPenaltyTokens).toEqual(Uint32Array.of(7));
    await sampler.sample(context, 0);
    expect(ruledOut()).toEqual([8, 5, 6]);
    await sampler.sample(context, 0);
    expect(ruledOut()).toEqual([5, 8]);
  });

  it('chooses no stop token before so many tokens, also where the end is ignored', async () => {
    const { configs, sampler } = recording();
    const context = { sampleToken: async () => 7 } as never;
    const limits = { stop: [], minTokens: 1, stopTokens: [9], ignoreEos: true } as const;
    sampler.begin({ sampling: { ...PLAIN, seed: 1 }, limits });
    expect(configs.at(-1)?.tokenBiasKeys).toEqual(Uint32Array.of(2, 3, 9));
    await sampler.sample(context, 0);
    await sampler.sample(context, 0);
    expect(configs.at(-1)?.tokenBiasKeys).toEqual(Uint32Array.of(2, 3));
  });

  it('says so where nothing can follow', async () => {
    const { sampler } = recording();
    const context = { sampleToken: async () => -1 } as never;
    await expect(sampler.sample(context, 0)).rejects.toThrow('No token can follow.');
  });
});
