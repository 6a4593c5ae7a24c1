/** What the server makes of calls beyond its answer, and of schemas that are made to hurt. */
import { beforeAll, expect, test } from 'vitest';
import { ask, exchangeBytes, generate, metric, stream } from '../support/http-client.ts';
import { scripted, scriptedFlags } from '../support/scripted-server.ts';
import { endingAfterAll, type RunningServer, startServer } from '../support/server.ts';

const endsWith = endingAfterAll();
let server: RunningServer;
beforeAll(async () => {
  server = await startServer({
    flags: [...scriptedFlags(), '--server.body-limit-bytes', '500000'],
    endsWith,
  });
});

test('a call is the end of the log line, and its tokens are counted', async () => {
  const prompt = scripted({ tool_calls: [{ name: 'clock', arguments: { zone: 'UTC' } }] });
  const before = await metric(server, 'llm_serve_generation_tokens_total');
  const body = { prompt, tools: [{ name: 'clock' }] };
  for (const answer of [await generate(server, body), await stream(server, body)]) {
    const line = await server.requestLine(String(answer.headers['x-request-id']));
    expect(line).toMatchObject({ status: 200, finishReason: 'tool_calls', completionTokens: 5 });
    expect(line.ttftMs).toBeDefined();
  }
  expect(await metric(server, 'llm_serve_generation_tokens_total')).toBe(before + 10);
});

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

const PLACES: readonly (readonly [param: string | null, body: (deep: string) => string])[] = [
  ['prompt', (deep) => `{"prompt":${deep}}`],
  ['format', (deep) => `{"prompt":"hi","format":{"anyOf":${deep}}}`],
  ['format', (deep) => `{"prompt":"hi","format":${deep}}`],
  ['tools[0].parameters', (deep) => `{"prompt":"hi","tools":[{"name":"a","parameters":{"anyOf":${deep}}}]}`],
  ['tool_choice', (deep) => `{"prompt":"hi","tools":[{"name":"a"}],"tool_choice":${deep}}`],
  ['logit_bias.5', (deep) => `{"prompt":"hi","logit_bias":{"5":${deep}}}`],
  ['unheard_of', (deep) => `{"prompt":"hi","unheard_of":${deep}}`],
  [null, (deep) => deep],
];

test.each(PLACES)('two hundred levels of nesting in %s are a 400 that names it', async (param, body) => {
  await expectRefusal(body(nested(200)), param);
});

test.each(PLACES)(
  'ten thousand levels of nesting in %s are refused before they are read',
  async (_, body) => {
    await expectRefusal(body(nested(10_000)), null);
  },
);

async function expectRefusal(body: string, param: string | null): Promise<void> {
  for (const path of ['/generate', '/stream']) {
    const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n`;
    const answer = await exchangeBytes(server.port, `${head}Content-Length: ${body.length}\r\n\r\n${body}`);
    expect(answer.status, answer.body).toBe(400);
    expect(JSON.parse(answer.body).error).toMatchObject({ code: 'invalid_request', param });
  }
}

test('a schema of 9,000 properties is one like any other', async () => {
  const names = Array.from({ length: 9_000 }, (_, index) => `p${index}`);
  const format = { type: 'object', properties: Object.fromEntries(names.map((name) => [name, {}])) };
  const answer = await generate(server, { prompt: scripted({ text: '{"p1":1}' }), format });
  expect(answer.status, answer.text).toBe(200);
});

test('a schema beyond the limit of the body is a 413', async () => {
  const format = { type: 'object', description: 'x'.repeat(500_000) };
  expect((await ask(`${server.url}/generate`, { body: { prompt: 'hi', format } })).status).toBe(413);
});
