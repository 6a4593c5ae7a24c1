import { describe, expect, it } from 'vitest';
import type { OpenAiCompatibleTarget } from '../../../../src/backends/openai-compatible/backend.ts';
import {
  dimensionsUnsupported,
  embeddingsUnsupported,
} from '../../../../src/backends/openai-compatible/errors.ts';
import {
  canBeWhole,
  readEmbeddings,
  readWholeAnswer,
} from '../../../../src/backends/openai-compatible/whole-answer.ts';
import type { EmbeddingInput } from '../../../../src/core/backend.ts';
import { chatRequest, neverAborted } from '../../../support/stand-ins/generate.ts';
import type { OpenAiStandInOptions } from '../../../support/stand-ins/openai-stand-in.ts';
import { recordedJson } from '../../../support/stand-ins/recording.ts';
import { runningOpenAi } from '../../../support/stand-ins/running-openai.ts';

describe('whole answer', () => {
  const chat = (message: object, usage: object | undefined, finish_reason: unknown = 'stop') => ({
    choices: [{ index: 0, message, finish_reason }],
    ...(usage !== undefined && { usage }),
  });
  const used = (completion_tokens: number) => ({ prompt_tokens: 3, completion_tokens });

  describe('a whole answer', () => {
    it('comes as vllm was recorded to give it', () => {
      expect(readWholeAnswer(recordedJson('vllm/chat'), 16)).toEqual({
        isDegraded: false,
        events: [
          { type: 'start', promptTokens: 37, cachedTokens: 0 },
          { type: 'text', text: 'The capital of France is Paris.' },
          {
            type: 'finish',
            reason: 'stop',
            usage: { promptTokens: 37, completionTokens: 8, cachedTokens: 0 },
          },
        ],
      });
      expect(readWholeAnswer(recordedJson('vllm/completion'), 8).events).toMatchObject([
        { promptTokens: 4 },
        { text: ', the city of Nova Haven was a' },
        { reason: 'length' },
      ]);
      expect(readWholeAnswer(recordedJson('vllm/chat-stop'), 40).events.at(-1)).toMatchObject({
        reason: 'stop',
        matchedStop: expect.any(String),
      });
    });

    it('comes as llama-server was recorded to give it', () => {
      expect(readWholeAnswer(recordedJson('llama-server/chat'), 16).events).toMatchObject([
        { type: 'start', promptTokens: 37 },
        { type: 'text', text: expect.stringMatching(/^L'Étoile/) },
        { reason: 'length', usage: { completionTokens: 16 } },
      ]);
    });

    it.each(['reasoning', 'reasoning_content'])('has its thoughts first, from %s', (field) => {
      const { events } = readWholeAnswer(chat({ [field]: 'hm', content: 'yes' }, used(2)));
      expect(events.slice(1, 3)).toEqual([
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'yes' },
      ]);
    });

    it('is read from a list of parts, as Mistral’s reasoning models give it', () => {
      const content = [
        {
          type: 'thinking',
          thinking: [
            { type: 'text', text: 'h' },
            { type: 'text', text: 'm' },
          ],
          closed: true,
        },
        { type: 'text', text: 'ye' },
        { type: 'reference', reference_ids: [1] },
        { type: 'text', text: 's' },
      ];
      const { events, isDegraded } = readWholeAnswer(chat({ role: 'assistant', content }, used(4)));
      expect(isDegraded).toBe(false);
      expect(events.slice(1)).toMatchObject([
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'yes' },
        { type: 'finish', reason: 'stop' },
      ]);
    });

    it('is cut where it exceeds max_tokens, and never in a character', () => {
      const { events, isDegraded } = readWholeAnswer(
        chat({ reasoning: 'hm', content: 'abc🦊efgh' }, used(10)),
        6,
      );
      expect(isDegraded).toBe(true);
      expect(events).toMatchObject([
        { type: 'start' },
        { type: 'reasoning', text: 'hm' },
        { type: 'text', text: 'abc' },
        { type: 'finish', reason: 'length', usage: { promptTokens: 3, completionTokens: 6 } },
      ]);
    });

    it('that is cut has no more thought tokens than tokens', () => {
      const usage = { ...used(10), completion_tokens_details: { reasoning_tokens: 8 } };
      const { events } = readWholeAnswer(chat({ reasoning: 'hmhmhmhm', content: 'yes' }, usage), 6);
      expect(events.at(-1)).toMatchObject({ usage: { completionTokens: 6, reasoningTokens: 6 } });
    });

    it('without usage has its tokens guessed, and is worse than a stream', () => {
      const { events, isDegraded } = readWholeAnswer(chat({ content: 'twelve chars' }, undefined));
      expect(isDegraded).toBe(true);
      expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 0, completionTokens: 3 } });
    });

    it.each([
      ['that is no JSON', undefined],
      ['without a choice', {}],
      ['without a reason for its end', chat({ content: 'hi' }, used(1), null)],
      ['that was given up', chat({ content: 'hi' }, used(1), 'abort')],
      ['that is an error', { error: { message: 'no' } }],
    ])('%s is none', (_, body) => {
      expect(() => readWholeAnswer(body)).toThrow(expect.objectContaining({ code: 'backend_error' }));
    });
  });

  it('log-probabilities and tools stay streamed', () => {
    expect(canBeWhole(chatRequest('hi'))).toBe(true);
    expect(canBeWhole(chatRequest('hi', { logprobs: { top: 0 } }))).toBe(false);
    expect(canBeWhole(chatRequest('hi', { tools: { tools: [{ name: 'clock' }], choice: 'auto' } }))).toBe(
      false,
    );
  });
});

describe('embedding', () => {
  async function start(options: OpenAiStandInOptions, target: Partial<OpenAiCompatibleTarget> = {}) {
    const { standIn, backend } = await runningOpenAi(options, target);
    const embed = (inputs: readonly EmbeddingInput[], dimensions?: number) =>
      backend.embed(
        { model: 'm', inputs, ...(dimensions !== undefined && { dimensions }) },
        { signal: neverAborted() },
      );
    return { standIn, embed };
  }

  it.each([
    ['vllm', 'base64'],
    ['llama-server', 'base64'],
    ['generic', 'float'],
  ] as const)('asks %s for vectors as %s', async (flavor, encoding_format) => {
    const { standIn, embed } = await start({}, { flavor });
    const { vectors } = await embed(['a', 'b']);
    expect(standIn.seen().at(-1)).toMatchObject({
      path: '/v1/embeddings',
      body: { model: 'smollm2', input: ['a', 'b'], encoding_format },
    });
    expect(vectors.map((vector) => Math.hypot(...vector))).toEqual([
      expect.closeTo(1, 5),
      expect.closeTo(1, 5),
    ]);
  });

  it('embeds more texts than fit into one answer, in order', async () => {
    const { standIn, embed } = await start({ embeddingLength: 2048 }, { flavor: 'generic' });
    const inputs = Array.from({ length: 600 }, (_, place) => `text ${place}`);
    const { vectors, promptTokens } = await embed(inputs);
    const alone = await embed(['text 599']);
    expect(vectors).toHaveLength(600);
    expect(vectors.at(-1)).toEqual(alone.vectors[0]);
    expect(promptTokens).toBe(600 * alone.promptTokens);
    expect(standIn.seen().filter(({ path }) => path === '/v1/embeddings').length).toBeGreaterThan(2);
  });

  it('passes tokens on, and how long the vectors are to be', async () => {
    const { standIn, embed } = await start({});
    const { vectors, promptTokens } = await embed([[1, 2, 3], [4]], 2);
    expect(standIn.seen().at(-1)?.body).toMatchObject({ input: [[1, 2, 3], [4]], dimensions: 2 });
    expect(vectors.map(({ length }) => length)).toEqual([2, 2]);
    expect(promptTokens).toBe(4);
  });

  it('refuses a length that the server does not read, or says that it cannot give', async () => {
    const { embed } = await start({ server: 'llama-server' });
    const refused = { code: 'unsupported_parameter', param: 'dimensions' };
    await expect(embed(['a'], 2)).rejects.toMatchObject(refused);
    const message =
      'Model "m" does not support matryoshka representation, changing output dimensions will lead to poor results.';
    expect(dimensionsUnsupported({ status: 400, headers: {}, body: { error: { message } } })).toMatchObject(
      refused,
    );
  });

  it.each(['vllm', 'llama-server'] as const)(
    'says that a %s without embeddings makes none',
    async (server) => {
      const { embed } = await start({ server, embeds: false });
      await expect(embed(['a'])).rejects.toMatchObject({ code: 'invalid_request', param: 'model' });
    },
  );

  it.each([
    ['error-500', 'backend_error'],
    ['busy', 'no_backend_available'],
    ['reset', 'backend_error'],
  ] as const)('maps the fault %s to %s, as for a generation', async (fault, code) => {
    const { embed } = await start({ fault });
    await expect(embed(['a'])).rejects.toMatchObject({ code });
  });

  it('orders by index, and takes what is missing for a failure of the backend', () => {
    const data = [
      { index: 1, embedding: [0, 1] },
      { index: 0, embedding: [1, 0] },
    ];
    expect(readEmbeddings({ data, usage: { prompt_tokens: 4 } }, { inputs: ['a', 'b'] })).toEqual({
      vectors: [
        [1, 0],
        [0, 1],
      ],
      promptTokens: 4,
    });
    expect(
      readEmbeddings({ data: data.map(({ embedding }) => ({ embedding })) }, { inputs: ['a', 'b'] })
        .vectors[0],
    ).toEqual([0, 1]);
    for (const broken of ['AAA', '', 'AADAfw=='])
      expect(() => readEmbeddings({ data: [{ embedding: broken }] }, { inputs: ['a'] })).toThrow(
        expect.objectContaining({ code: 'backend_error' }),
      );
    expect(() => readEmbeddings({ data: [] }, { inputs: ['a', 'b'] })).toThrow(
      expect.objectContaining({ code: 'backend_error' }),
    );
  });

  it('leaves other refusals to what they are', () => {
    const body = { error: { message: 'The model `x` does not exist.' } };
    expect(embeddingsUnsupported({ status: 404, headers: {}, body })).toBeUndefined();
    const refused = { error: { message: 'The model does not support Embeddings API' } };
    expect(embeddingsUnsupported({ status: 400, headers: {}, body: refused })?.code).toBe('invalid_request');
  });
});
