/** Every example of /openapi.json is answered as it stands; those that ask for tokens need a model that tells them. */
import { expect, test } from 'vitest';
import { describedExamples } from '../support/described-examples.ts';
import { ask } from '../support/http-client.ts';
import { endingAfterAll, startServer } from '../support/server.ts';

const endsWith = endingAfterAll();
const TELLS_TOKENS = ['/tokenize', '/detokenize', '/v1/responses/input_tokens', '/v1/messages/count_tokens'];

test('every example of the description is answered', async () => {
  const models = ['smollm2', 'embedder'].map((id) => ({
    id,
    targets: [
      {
        backend: 'scripted',
        model: id,
        // Also what the examples of structured output and of tool calls ask for.
        text: '{"city":"Paris"}',
        tool_calls: [{ name: 'get_weather', arguments: { city: 'Paris' } }],
      },
    ],
  }));
  const server = await startServer({ flags: ['--models', JSON.stringify(models)], endsWith });
  const examples = await describedExamples(server);
  expect(examples.length).toBeGreaterThan(10);
  for (const { path, name, body } of examples) {
    const { status } = await ask(`${server.url}${path}`, { body });
    expect([path, name, status]).toEqual([path, name, TELLS_TOKENS.includes(path) ? 400 : 200]);
  }
});
