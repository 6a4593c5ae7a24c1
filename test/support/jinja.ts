/** Templates as the engine reads them from model files: rendered by llama.cpp itself, without a model. */
import * as library from 'node-llama-cpp';
import type { ChatTemplate } from '../../src/backends/llama-cpp/engine/chat-template.ts';
import { jinjaTemplate } from '../../src/backends/llama-cpp/engine/chat-template.ts';
import type { Library } from '../../src/backends/llama-cpp/engine/library.ts';
import { bindingsOf } from '../../src/backends/llama-cpp/engine/library.ts';

const { getLlama }: Library = library;

let shared: ReturnType<typeof getLlama> | undefined;

/** One for all files of a process, never disposed of: each listens to the end of the process. */
export function startLlama(): ReturnType<typeof getLlama> {
  shared ??= getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: 1,
    logger() {},
  });
  return shared;
}

export async function startJinja(): Promise<(source: string) => ChatTemplate> {
  const { AddonJinjaRenderer } = bindingsOf(await startLlama());
  return (source) =>
    jinjaTemplate({ source, renderer: new AddonJinjaRenderer(source), bosToken: '<s>', eosToken: '</s>' });
}
