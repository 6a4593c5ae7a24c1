import * as library from 'node-llama-cpp';
import { expect, it } from 'vitest';
// Not exported by the package, but these are the types of what the engine decodes on.
import type * as theirs from '../../../../../node_modules/node-llama-cpp/dist/bindings/AddonTypes.d.ts';
import type { Library } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import {
  bindingsOf,
  type NativeBindings,
  type NativeContext,
  nativeContextOf,
  nativeModelOf,
  type SamplerConfig,
} from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { startLlama } from '../../../../support/jinja.ts';

it('describes node-llama-cpp as it is', () => {
  const ours: Library = library;
  expect(typeof ours.getLlama).toBe('function');
});

it('describes what node-llama-cpp is made of as it is', async () => {
  const context = (native: theirs.AddonContext): Omit<NativeContext, 'sampleToken'> => native;
  const jinja = (bindings: theirs.BindingModule): Pick<NativeBindings, 'AddonJinjaRenderer'> => bindings;
  const setting: keyof Parameters<theirs.AddonSampler['applyConfig']>[0] = 'seed' as keyof SamplerConfig;
  expect([typeof context, typeof jinja, setting]).toEqual(['function', 'function', 'seed']);
  const { AddonJinjaRenderer } = bindingsOf(await startLlama());
  expect(new AddonJinjaRenderer('{{ name | upper }}').render({ name: 'a' })).toBe('A');
  expect(() => new AddonJinjaRenderer('{{')).toThrow();
});

it('reports a version with other members', () => {
  const message =
    'This version of node-llama-cpp is not the one that the engine was made for: run npm install.';
  expect(() => nativeContextOf({})).toThrow(message);
  expect(() => nativeModelOf({ _model: {} } as never)).toThrow(message);
});
