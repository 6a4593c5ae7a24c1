/** node-llama-cpp, which believes that there is a CUDA device; what that computes ends the process. */
import { writeSync } from 'node:fs';
import * as real from 'node-llama-cpp';

export async function getLlamaGpuTypes() {
  return ['cuda', false];
}

export async function getLlama(options) {
  const llama = await real.getLlama({ ...options, gpu: false });
  if (options.gpu === false || options.gpu.exclude.includes('cuda')) return llama;
  return {
    gpu: 'cuda',
    _bindings: llama._bindings,
    getGpuDeviceNames: async () => ['Old Driver 580'],
    loadModel: async (request) => {
      const model = await llama.loadModel({ ...request, gpuLayers: 0 });
      model.createContext = async () => ({ _ctx: abortingContext });
      return model;
    },
  };
}

const abortingContext = {
  initBatch() {},
  addToBatch: () => Uint32Array.of(0),
  decodeBatch() {
    writeSync(2, 'CUDA error: the provided PTX was compiled with an unsupported toolchain.\n');
    writeSync(2, '/llama.cpp/ggml/src/ggml-cuda/ggml-cuda.cu:88: CUDA error\n');
    process.abort();
  },
};
