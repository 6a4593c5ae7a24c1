import { expect, it } from 'vitest';
import { DIALECTS } from '../../../../src/backends/openai-compatible/dialect.ts';
import { serverTokenizer } from '../../../../src/backends/openai-compatible/tokenizer.ts';
import type { TokenizeRequest } from '../../../../src/core/backend.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import type { Upstream } from '../../../../src/upstream/upstream.ts';
import { neverAborted } from '../../../support/stand-ins/generate.ts';
import type { PlayedServer } from '../../../support/stand-ins/openai-stand-in.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';

async function start(server: PlayedServer) {
  const { standIn, backend } = await runningOpenAi({ server }, { flavor: server });
  const asked = () => standIn.seen().map(({ path, body }) => ({ path, body }));
  return { tokenizer: backend.tokenizer, asked };
}

const signal = neverAborted();
const chat: TokenizeRequest = {
  input: { kind: 'chat', messages: [{ role: 'user', content: 'one two three' }] },
  tools: { tools: [{ name: 'clock' }], choice: 'auto' },
};
const messages = [{ role: 'user', content: 'one two three' }];

it('asks vllm for a chat as it asks for its answer', async () => {
  const { tokenizer, asked } = await start('vllm');
  const tokens = await tokenizer.encode(chat, { signal });
  expect(tokens).toHaveLength(4);
  expect(asked()).toEqual([
    {
      path: '/tokenize',
      body: {
        model: 'smollm2',
        messages,
        tools: [expect.objectContaining({ type: 'function' })],
        add_generation_prompt: true,
      },
    },
  ]);
});

it('has llama-server apply its template first', async () => {
  const { tokenizer, asked } = await start('llama-server');
  expect(await tokenizer.encode({ ...chat, addSpecial: false }, { signal })).toHaveLength(4);
  expect(asked()).toMatchObject([
    { path: '/apply-template', body: { messages, tool_choice: 'auto' } },
    { path: '/tokenize', body: { add_special: true, parse_special: true } },
  ]);
});

it.each([
  ['vllm', { model: 'smollm2', prompt: 'one two', add_special_tokens: false }],
  ['llama-server', { content: 'one two', add_special: false, parse_special: true }],
] as const)('counts a text by itself on %s, and gives it back', async (server, body) => {
  const { tokenizer, asked } = await start(server);
  const tokens = await tokenizer.encode(
    { input: { kind: 'text', prompt: 'one two' }, addSpecial: false },
    { signal },
  );
  expect(asked()).toEqual([{ path: '/tokenize', body }]);
  expect(await tokenizer.decode(tokens, { signal })).toBe('one two');
});

it('refuses what cannot be counted', async () => {
  const generic = await start('generic');
  const refusedModel = { code: 'unsupported_parameter', param: 'model' };
  await expect(generic.tokenizer.encode(chat, { signal })).rejects.toMatchObject(refusedModel);
  await expect(generic.tokenizer.decode([1], { signal })).rejects.toMatchObject(refusedModel);
  const { tokenizer } = await start('llama-server');
  const images = [{ mediaType: 'image/png', base64: 'AA==', at: 0 }];
  const seeing = { kind: 'chat', messages: [{ role: 'user', content: 'what?', images }] } as const;
  await expect(tokenizer.encode({ input: seeing }, { signal })).rejects.toMatchObject({
    code: 'unsupported_parameter',
    param: 'messages[0].images',
  });
});

it('refuses where a proxy hides the routes', async () => {
  const { backend } = await runningOpenAi({ server: 'generic' }, { flavor: 'vllm' });
  await expect(backend.tokenizer.encode(chat, { signal })).rejects.toMatchObject({
    code: 'unsupported_parameter',
    param: 'model',
  });
});

it.each(['vllm', 'llama-server'] as const)(
  'tells the template of %s to think as a generation does',
  async (server) => {
    const { tokenizer, asked } = await start(server);
    for (const thinking of [true, false, 'high'] as const)
      await tokenizer.encode({ ...chat, thinking }, { signal });
    const path = server === 'vllm' ? '/tokenize' : '/apply-template';
    const told = asked().filter((request) => request.path === path);
    expect(told.map(({ body }) => body)).toMatchObject([
      { chat_template_kwargs: { enable_thinking: true } },
      { chat_template_kwargs: { enable_thinking: false } },
      { chat_template_kwargs: { enable_thinking: true, reasoning_effort: 'high' } },
    ]);
  },
);

it('counts without the switch where the template takes none', async () => {
  const bodies: Record<string, unknown>[] = [];
  const json = async ({ body }: { readonly body: Record<string, unknown> }) => {
    bodies.push(body);
    const message = 'chat_template is not supported for Mistral tokenizers.';
    const refused = { status: 400, headers: {}, body: { error: { message } } };
    return 'chat_template_kwargs' in body ? refused : { status: 200, headers: {}, body: { tokens: [1, 2] } };
  };
  const tokenizer = serverTokenizer({
    upstream: { json } as unknown as Upstream,
    model: 'mistral',
    findDialect: async () => DIALECTS.vllm,
    responseError: () => new ServingError('backend_error'),
  });
  expect(await tokenizer.encode({ ...chat, thinking: false }, { signal })).toEqual([1, 2]);
  expect(bodies.map((body) => 'chat_template_kwargs' in body)).toEqual([true, false]);
});
