import { describe, expect, it } from 'vitest';
import type { TokenizeRequest } from '../../../../src/core/backend.ts';
import { detokenizeRoute, tokenizeRoute } from '../../../../src/protocols/openai/tokenize.ts';
import type { QueryContext } from '../../../../src/protocols/protocol.ts';

/** A model whose tokens are the characters of a text, as long as the text is. */
function house(asked: TokenizeRequest[] = [], contextSize: number | undefined = 100): QueryContext {
  const refuse = () => {
    throw new Error('is not asked for');
  };
  const model = {
    id: 'm',
    aliases: [],
    contextSize,
    ready: true,
    abilities: [],
    details: {},
    digest: 'd',
    targets: [],
  };
  return {
    version: '0',
    startedAt: 0,
    now: 0,
    defaultModel: 'm',
    models: refuse,
    pull: refuse,
    requireModel: (name = 'm') => ({ ...model, id: name }),
    tokenize: async (_, request) => {
      asked.push(request);
      const { input } = request;
      const text =
        input.kind === 'chat'
          ? input.messages.map(({ content }) => content).join('')
          : input.kind === 'text'
            ? input.prompt
            : '';
      return [...text].map((character) => character.codePointAt(0) ?? 0);
    },
    detokenize: async (_, tokens) => String.fromCodePoint(...tokens),
  };
}

const query = (body: object) => ({ body, params: {}, headers: {} });

describe('tokens of a text', () => {
  it('are counted and shown', async () => {
    const asked: TokenizeRequest[] = [];
    expect(await tokenizeRoute.answer(query({ prompt: 'hé' }), house(asked))).toEqual({
      count: 2,
      max_model_len: 100,
      tokens: [104, 233],
      token_strs: null,
    });
    expect(asked).toEqual([{ input: { kind: 'text', prompt: 'hé' } }]);
  });

  it('come with their texts, where those are asked for', async () => {
    const prompt = 'héllo'.repeat(20);
    const body = query({ model: 'm', prompt, return_token_strs: true, add_special_tokens: false });
    const asked: TokenizeRequest[] = [];
    expect(await tokenizeRoute.answer(body, house(asked))).toMatchObject({ token_strs: [...prompt] });
    expect(asked[0]).toMatchObject({ addSpecial: false });
    const long = query({ prompt: 'a'.repeat(4097), return_token_strs: true });
    await expect(tokenizeRoute.answer(long, house())).rejects.toMatchObject({ param: 'return_token_strs' });
  });

  it('of a chat are those of its prompt', async () => {
    const asked: TokenizeRequest[] = [];
    const body = query({
      messages: [{ role: 'developer', content: 'a' }],
      tools: [{ type: 'function', function: { name: 'clock' } }],
      add_generation_prompt: true,
    });
    await tokenizeRoute.answer(body, house(asked));
    expect(asked).toEqual([
      {
        input: { kind: 'chat', messages: [{ role: 'system', content: 'a' }] },
        tools: { tools: [{ name: 'clock' }], choice: 'auto' },
      },
    ]);
  });

  it('of a chat follow enable_thinking', async () => {
    const asked: TokenizeRequest[] = [];
    const messages = [{ role: 'user', content: 'a' }];
    for (const chat_template_kwargs of [{ enable_thinking: false }, { other: 1 }, null])
      await tokenizeRoute.answer(query({ messages, chat_template_kwargs }), house(asked));
    expect(asked.map(({ thinking }) => thinking)).toEqual([false, undefined, undefined]);
  });

  it('come without a context length where it is unknown', async () => {
    const unknown: QueryContext = {
      ...house(),
      requireModel: (id) => ({ ...house().requireModel(id), contextSize: undefined }),
    };
    expect(await tokenizeRoute.answer(query({ prompt: '' }), unknown)).toMatchObject({
      count: 0,
      max_model_len: null,
    });
  });

  it.each([
    [{}, 'prompt'],
    [{ prompt: null }, 'prompt'],
    [{ prompt: 'a', messages: [{ role: 'user', content: 'a' }] }, 'messages'],
    [{ messages: [] }, 'messages'],
    [{ messages: [{ role: 'user', content: 'a' }], add_generation_prompt: false }, 'add_generation_prompt'],
  ])('are rejected of %j', async (body, param) => {
    await expect(tokenizeRoute.answer(query(body), house())).rejects.toMatchObject({ param });
  });
});

describe('the text of tokens', () => {
  it('is put together', async () => {
    expect(await detokenizeRoute.answer(query({ tokens: [104, 233] }), house())).toEqual({ prompt: 'hé' });
  });

  it.each([
    [{}, 'tokens'],
    [{ tokens: [1.5] }, 'tokens[0]'],
    [{ tokens: [-1] }, 'tokens[0]'],
  ])('is rejected of %j', async (body, param) => {
    await expect(detokenizeRoute.answer(query(body), house())).rejects.toMatchObject({ param });
  });
});
