/** The real server over the embedded engine: the default model, and a tiny one that embeds. */
import { DEFAULT_MODEL, ENGINE_THREADS, modelPath, testCacheDirectory } from '../support/embedded-engine.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';
import type { Served } from './client-suite.ts';
import { type EndsWith, serve } from './served.ts';

export async function servedEmbedded(endsWith: EndsWith): Promise<Served> {
  await modelPath();
  const tiny = await tinyModelFile({ trainedContext: 64 });
  const tinyTalker = await tinyModelFile({ architecture: 'llama', pooling: 'none', trainedContext: 64 });
  const entry = (id: string, model: string, context_size: number, slots = 2) => ({
    id,
    targets: [{ backend: 'llama-cpp', gpu: 'off', threads: ENGINE_THREADS, model, slots, context_size }],
  });
  const all = [entry('talker', DEFAULT_MODEL, 1024, 6), entry('embedder', tiny.path, 64)];
  // What it says does not matter there.
  const limited = [entry('talker', tinyTalker.path, 64, 8)];
  const served = await serve(
    { all, limited },
    { environment: { LLM_SERVE_CACHE__DIRECTORY: testCacheDirectory() }, endsWith },
  );
  return {
    ...served,
    backend: 'embedded',
    model: 'talker',
    embedder: 'embedder',
    dimensions: tiny.vectorOf('cat').length,
    callsByItself: false,
  };
}
