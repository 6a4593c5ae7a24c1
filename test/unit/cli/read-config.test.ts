import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { acceptedConfigOf, configOf } from '../../../src/cli/read-config.ts';

it('where links of model files lead is asked once: not again for a worker that starts with what was accepted', () => {
  const folder = () => {
    const path = mkdtempSync(join(tmpdir(), 'llm-serve-links-'));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const [allowed, other] = [folder(), folder()];
  const model = join(allowed, 'model.gguf');
  writeFileSync(model, '');
  const file = {
    name: 'llm-serve.yaml',
    text: JSON.stringify({
      cache: { allowed_folders: [allowed] },
      models: [{ id: 'm', targets: [{ backend: 'llama-cpp', model }] }],
    }),
  };
  expect(configOf({ values: {} }, file).config.models).toHaveLength(1);
  rmSync(model);
  symlinkSync(other, model);
  expect(() => configOf({ values: {} }, file)).toThrow('cache.allowed_folders permits model files in');
  expect(acceptedConfigOf({ values: {} }, file).config.models).toHaveLength(1);
});
