import { expect, it } from 'vitest';
import { LoadFailure } from '../../../../src/backends/llama-cpp/engine/load-failure.ts';

function explained(lines: readonly string[], thrown: unknown = new Error('Failed to load model')): string {
  const failure = new LoadFailure();
  for (const line of lines) failure.hear(line);
  return failure.explain('/m.gguf', thrown).message;
}

it('names an architecture that is not supported', () => {
  const line = "llama_model_load: error loading model: unknown model architecture: 'made-up'\n";
  expect(explained([line])).toMatch(/^The model file \/m\.gguf is of the architecture "made-up", which this/);
});

it('gives the first complaint of the library as the reason', () => {
  const lines = [
    'llama_model_loader: loaded meta data\n',
    'llama_model_load: error loading model: error loading model hyperparameters: key not found in model: llama.context_length\n',
    'llama_model_load: error loading model: something later\n',
  ];
  expect(explained(lines)).toContain('could not be loaded (key not found in model: llama.context_length)');
});

it('gives the error itself where the library has not complained', () => {
  expect(explained([])).toContain('(Failed to load model)');
  expect(explained([], 'no memory')).toContain('(no memory)');
});
