import * as library from 'node-llama-cpp';
import { expect, it } from 'vitest';
import type * as addon from '../../../../../node_modules/node-llama-cpp/dist/bindings/AddonTypes.d.ts';
import {
  type Bindings,
  bindingsOf,
  type Library,
} from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { startLlama } from '../../../../support/jinja.ts';

it('describes node-llama-cpp as it is', () => {
  const ours: Library = library;
  expect(typeof ours.getLlama).toBe('function');
});

it('describes what node-llama-cpp keeps to itself as it is', async () => {
  const typed = (bindings: addon.BindingModule): Bindings => bindings;
  expect(typed).toBeDefined();
  const { AddonJinjaRenderer } = bindingsOf(await startLlama());
  expect(new AddonJinjaRenderer('{{ name | upper }}').render({ name: 'a' })).toBe('A');
  expect(() => new AddonJinjaRenderer('{{')).toThrow();
});
