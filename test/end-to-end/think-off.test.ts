/** The whole server in front of one that cannot be told not to think: every protocol answers, and names in its words what it dropped. */
import { beforeAll, expect, test } from 'vitest';
import { ask } from '../support/http-client.ts';
import { whenReady } from '../support/readiness.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';
import { startOpenAiStandIn } from '../support/stand-ins/openai-stand-in.ts';

const endsWith = endingAfterAll();
let server: RunningServer;

beforeAll(async () => {
  const standIn = await startOpenAiStandIn({ server: 'generic', refusesEffort: 'openai' });
  endsWith(() => standIn.close());
  const target = { backend: 'openai-compatible', url: standIn.url, model: standIn.model, flavor: 'generic' };
  const models = [{ id: standIn.model, targets: [target] }];
  const flags = ['--models', JSON.stringify(models), '--rate-limit.enabled', 'false'];
  server = await startServer({ flags, endsWith });
  await whenReady(server);
});

const messages = [{ role: 'user', content: 'hi' }];

test.each([
  ['/v1/chat/completions', { messages, reasoning_effort: 'none' }, 'reasoning_effort'],
  ['/v1/chat/completions', { messages, reasoning_effort: 'none', stream: true }, 'reasoning_effort'],
  [
    '/v1/chat/completions',
    { messages, chat_template_kwargs: { enable_thinking: false } },
    'chat_template_kwargs.enable_thinking',
  ],
  ['/v1/chat/completions', { messages, enable_thinking: false }, 'enable_thinking'],
  ['/v1/chat/completions', { messages }, undefined],
  ['/v1/completions', { prompt: 'hi' }, undefined],
  ['/v1/responses', { input: 'hi', reasoning: { effort: 'none' } }, 'reasoning.effort'],
  ['/v1/messages', { messages, max_tokens: 8, thinking: { type: 'disabled' } }, 'thinking'],
  ['/v1/messages', { messages, max_tokens: 8 }, undefined],
  ['/api/chat', { messages, think: false }, 'think'],
  ['/api/generate', { prompt: 'hi', think: false, stream: false }, 'think'],
  ['/generate', { messages, think: false }, 'think'],
  ['/generate', { messages }, undefined],
])('%s %j drops %s', async (path, fields, dropped) => {
  const answer = await ask(`${server.url}${path}`, { body: { model: 'smollm2', ...fields } });
  expect(answer.status, answer.text).toBe(200);
  expect(answer.headers['x-dropped-parameters']).toBe(dropped);
});
