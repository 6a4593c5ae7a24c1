// Our side: the real executable, asked over HTTP.
import { startExecutable } from '../executable.mjs';
import { openHttpSide } from './http-side.mjs';
import { CONTEXT_SIZE, SLOTS } from './workload.mjs';

const GREEDY = { raw: true, temperature: 0, repeat_penalty: 1 };

export async function startLlmServe({ model }) {
  const targets = [{ backend: 'llama-cpp', model, slots: SLOTS, context_size: CONTEXT_SIZE }];
  const server = await startExecutable({
    flags: ['--rate-limit.enabled', 'false'],
    environment: { LLM_SERVE_MODELS: JSON.stringify([{ id: model, targets }]) },
  });
  return openHttpSide({
    url: server.url,
    stop: server.stop,
    whole: { path: '/generate', countOf: (answer) => answer.usage.completion_tokens },
    stream: {
      path: '/stream',
      isToken: (data) => data.startsWith('{"token":'),
      textOf: (data) => JSON.parse(data).token,
    },
    body: ({ prompt, tokens }) => ({ ...GREEDY, prompt, max_tokens: tokens }),
    promptOf: ({ usage }) => ({ promptTokens: usage.prompt_tokens, cachedTokens: usage.cached_tokens }),
  });
}
