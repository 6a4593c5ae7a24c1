import * as library from 'node-llama-cpp';
import { expect, it } from 'vitest';
// Not exported by the package, but these are the types of what the engine decodes on.
import type * as theirs from '../../../../../node_modules/node-llama-cpp/dist/bindings/AddonTypes.d.ts';
import type { Library } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import type { NativeContext, SamplerConfig } from '../../../../../src/backends/llama-cpp/engine/native.ts';

it('describes node-llama-cpp as it is', () => {
  const ours: Library = library;
  expect([typeof ours.getLlama, typeof ours.JinjaTemplateChatWrapper]).toEqual(['function', 'function']);
});

it('describes the binding under it as it is', () => {
  type Sampling = 'sampleToken';
  const context = (native: theirs.AddonContext): Omit<NativeContext, Sampling> => native;
  const config = (
    ours: Omit<SamplerConfig, 'grammarEvaluationState'>,
  ): Parameters<theirs.AddonSampler['applyConfig']>[0] => ours as never;
  const known: keyof Parameters<theirs.AddonSampler['applyConfig']>[0] = '' as keyof SamplerConfig;
  expect([typeof context, typeof config, known]).toEqual(['function', 'function', '']);
});
