import { describe, expect, it } from 'vitest';
import type { SamplerConfig } from '../../../../../src/backends/llama-cpp/engine/native.ts';
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
  return { configs, sampler: new Sampler({ applyConfig: (config) => void configs.push(config) }) };
}

describe('the sampler of a sequence', () => {
  it('begins anew for the same seed: another comes between', () => {
    const { configs, sampler } = recording();
    sampler.begin({ ...PLAIN, seed: 7 });
    sampler.begin({ ...PLAIN, seed: 7 });
    expect(configs[1]).toEqual({ temperature: 0.8, topP: 0.9, topK: 40, minP: 0, seed: 7 });
    expect(configs[2]?.seed).not.toBe(7);
    expect(configs[3]).toEqual(configs[1]);
  });

  it('leaves nothing of penalties, biases and grammar behind', () => {
    const { configs, sampler } = recording();
    sampler.begin({ ...PLAIN, seed: 1, repeatPenalty: 1.1, logitBias: [{ token: 5, bias: -100 }] });
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
    sampler.begin({ ...PLAIN, seed: 1, topK: 0 });
    expect(configs.at(-1)).not.toHaveProperty('topK');
  });

  it('says so where nothing can follow', async () => {
    const { sampler } = recording();
    const context = { sampleToken: async () => -1 } as never;
    await expect(sampler.sample(context, 0)).rejects.toThrow('No token can follow.');
  });
});
