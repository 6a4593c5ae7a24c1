import * as library from 'node-llama-cpp';
import { expect, it } from 'vitest';
import type { Library } from '../../../../../src/backends/llama-cpp/engine/library.ts';

it('describes node-llama-cpp as it is', () => {
  const ours: Library = library;
  expect([typeof ours.getLlama, typeof ours.JinjaTemplateChatWrapper]).toEqual(['function', 'function']);
});
