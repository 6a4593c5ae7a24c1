// The same waves through the real executable: /generate for the rate, /stream for the time to the first token.
import { Agent, request } from 'undici';
import { startExecutable } from '../executable.mjs';

const GREEDY = { raw: true, temperature: 0, repeat_penalty: 1 };

export async function startServedEngine({ model, slots, contextSize }) {
  const targets = [{ backend: 'llama-cpp', model, slots, context_size: contextSize }];
  const server = await startExecutable({
    flags: ['--rate-limit.enabled', 'false', '--scheduler.max-batch-size', String(Math.max(16, slots))],
    environment: { LLM_SERVE_MODELS: JSON.stringify([{ id: model, targets }]) },
  });
  const agent = new Agent({ headersTimeout: 0, bodyTimeout: 0 });
  const post = (path, { prompt, tokens }) =>
    request(`${server.url}${path}`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...GREEDY, prompt, max_tokens: tokens }),
    });
  return {
    generate: (wave) => together(wave, (call) => generate(post, call)),
    stream: (wave) => together(wave, (call) => stream(post, call)),
    stop: async () => {
      await agent.close();
      await server.stop();
    },
  };
}

async function together({ prompts, tokens }, call) {
  const startedAt = performance.now();
  const answers = await Promise.all(prompts.map((prompt) => call({ prompt, tokens, startedAt })));
  return { seconds: (performance.now() - startedAt) / 1000, answers };
}

async function generate(post, call) {
  const { statusCode, body } = await post('/generate', call);
  const answer = await body.json();
  if (statusCode !== 200) throw new Error(`/generate answered ${statusCode}: ${JSON.stringify(answer)}`);
  return { tokens: answer.usage.completion_tokens };
}

async function stream(post, call) {
  const { statusCode, body } = await post('/stream', call);
  let firstTokenMs;
  let text = '';
  for await (const chunk of body) {
    if (firstTokenMs === undefined && chunk.includes('{"token":'))
      firstTokenMs = performance.now() - call.startedAt;
    text += chunk;
  }
  if (statusCode !== 200 || !text.endsWith('data: [DONE]\n\n'))
    throw new Error(`/stream answered ${statusCode}: ${text.slice(-500)}`);
  return { tokens: Number(/"completion_tokens":(\d+)/.exec(text)?.[1]), firstTokenMs };
}
