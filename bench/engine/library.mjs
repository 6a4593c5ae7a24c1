// node-llama-cpp by itself: its own batching and iterators, in a process with the settings of our engine's.
import { startWorker } from '../worker.mjs';

export async function startLibrary({ modelPath }) {
  const worker = await startWorker(new URL('library-worker.mjs', import.meta.url), {
    args: [modelPath],
    execArgv: ['--single-threaded-gc'],
    env: { UV_THREADPOOL_SIZE: '1' },
  });
  return { generate: worker.ask, stream: worker.ask, stop: worker.stop };
}
