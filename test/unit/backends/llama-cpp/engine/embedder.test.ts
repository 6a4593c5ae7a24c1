import type { LlamaModel } from 'node-llama-cpp';
import { describe, expect, it } from 'vitest';
import {
  Embedder,
  type EmbeddingModel,
  encodeForEmbedding,
  encodeInput,
  encodeText,
  normalized,
  poolingOf,
} from '../../../../../src/backends/llama-cpp/engine/embedder.ts';
import type { Model } from '../../../../../src/backends/llama-cpp/engine/library.ts';
import { requireKnownTokens } from '../../../../../src/backends/llama-cpp/engine/vocabulary.ts';
import type { EngineEvent } from '../../../../../src/backends/llama-cpp/messages.ts';

describe('embedder', () => {
  /** A token is a character; a text's vector is its length, given when the test says so. */
  function start({ contextSize = 8 } = {}) {
    const events: EngineEvent[] = [];
    const asked: string[] = [];
    const waiting: { give(): void; fail(error: Error): void }[] = [];
    const embedder = new Embedder({
      encode: (input) => {
        if (typeof input === 'string') return [...input].map((character) => character.charCodeAt(0));
        requireKnownTokens(input, 256, 'input');
        return [...input];
      },
      vectorOf: (tokens) => {
        asked.push(String.fromCharCode(...tokens));
        return new Promise((resolve, reject) => {
          waiting.push({ give: () => resolve([tokens.length]), fail: reject });
        });
      },
      contextSize,
      emit: (told) => events.push(...told),
      onStep() {},
    });
    return { embedder, events, asked, waiting };
  }

  type Started = ReturnType<typeof start>;

  /** Gives every vector that is asked for, until so many were. */
  async function give(started: Started, count: number): Promise<void> {
    for (let given = 0; given < count; given += 1) {
      await expect.poll(() => started.waiting.length).toBeGreaterThan(0);
      started.waiting.shift()?.give();
    }
  }

  async function ended(started: Started, id: number): Promise<EngineEvent['event'] | undefined> {
    const of = () => started.events.find((event) => event.id === id && event.event.type !== 'vector');
    await expect.poll(of).toBeDefined();
    return of()?.event;
  }

  describe('the embedder', () => {
    it('gives a vector for each text in order, then the sum of their tokens', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['aa', 'b', 'cccc'] });
      await give(started, 3);
      await ended(started, 1);
      expect(started.events).toEqual([
        { id: 1, event: { type: 'vector', values: [2] } },
        { id: 1, event: { type: 'vector', values: [1] } },
        { id: 1, event: { type: 'vector', values: [4] } },
        { id: 1, event: { type: 'embedded', promptTokens: 7 } },
      ]);
    });

    it('lets a short order pass between the texts of a long one', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'aa', 'aaa', 'aaaa'] });
      started.embedder.add({ id: 2, inputs: ['b'] });
      await give(started, 5);
      await ended(started, 1);
      expect(started.asked.indexOf('b')).toBeLessThan(2);
    });

    it('refuses a text longer than the context with both numbers before it embeds any', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['aaaaaaaa', 'aaaaaaaaa'] });
      expect(await ended(started, 1)).toEqual({
        type: 'failed',
        param: 'input',
        code: 'context_length_exceeded',
        message:
          'Text 2 of the input has 9 tokens, but the model’s context holds 8: shorten it, or have the server’s ' +
          'context_size raised if the model was trained for more.',
      });
      expect(started.asked).toEqual([]);
    });

    it('refuses a text without tokens', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: [''] });
      expect(await ended(started, 1)).toMatchObject({ code: 'invalid_request', param: 'input' });
    });

    it('refuses tokens that the model does not have before it embeds any', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: [[97, 98], [256]] });
      expect(await ended(started, 1)).toEqual({
        type: 'failed',
        param: 'input',
        code: 'invalid_request',
        message: expect.stringContaining('input names token 256, but this model’s tokens are 0 to 255.'),
      });
      expect(started.asked).toEqual([]);
    });

    it('aborted between two texts, embeds no more of them and says when it is free', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'b', 'c'] });
      await give(started, 1);
      await expect.poll(() => started.asked).toEqual(['a', 'b']);
      started.embedder.abort(1);
      expect(started.events).toEqual([{ id: 1, event: { type: 'vector', values: [1] } }]);
      started.waiting.shift()?.give();
      expect(await ended(started, 1)).toEqual({ type: 'freed' });
      expect(started.asked).toEqual(['a', 'b']);
    });

    it('aborted while another has its turn, is free at once', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a'] });
      started.embedder.add({ id: 2, inputs: ['b'] });
      await expect.poll(() => started.asked).toEqual(['a']);
      started.embedder.abort(2);
      expect(started.events).toEqual([{ id: 2, event: { type: 'freed' } }]);
      await give(started, 1);
      await ended(started, 1);
      expect(started.asked).toEqual(['a']);
    });

    it('paused, has nothing computed until it is resumed; others go on meanwhile', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'aa'] });
      await expect.poll(() => started.asked).toEqual(['a']);
      started.embedder.pause(1);
      await give(started, 1);
      started.embedder.add({ id: 2, inputs: ['b', 'bb'] });
      await give(started, 2);
      await ended(started, 2);
      expect(started.asked).toEqual(['a', 'b', 'bb']);
      started.embedder.resume(1);
      await give(started, 1);
      expect(await ended(started, 1)).toMatchObject({ type: 'embedded' });
    });

    it('paused, is free at once when it is aborted', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'aa'] });
      await expect.poll(() => started.asked).toEqual(['a']);
      started.embedder.pause(1);
      await give(started, 1);
      await expect.poll(() => started.events).toHaveLength(1);
      started.embedder.abort(1);
      expect(started.events.at(-1)).toEqual({ id: 1, event: { type: 'freed' } });
      started.embedder.add({ id: 2, inputs: ['b'] });
      await give(started, 1);
      await ended(started, 2);
    });

    it('fails the order that the engine could not embed, and goes on with the next', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'b'] });
      await expect.poll(() => started.waiting.length).toBe(1);
      started.waiting.shift()?.fail(new Error('no memory'));
      expect(await ended(started, 1)).toMatchObject({
        code: 'backend_error',
        message: expect.stringContaining('no memory'),
      });
      started.embedder.add({ id: 2, inputs: ['c'] });
      await give(started, 1);
      expect(await ended(started, 2)).toMatchObject({ type: 'embedded' });
    });

    it('stops after the text it is at', async () => {
      const started = start();
      started.embedder.add({ id: 1, inputs: ['a', 'b'] });
      await expect.poll(() => started.asked).toEqual(['a']);
      const stopped = started.embedder.stop();
      started.waiting.shift()?.give();
      await stopped;
      expect(started.asked).toEqual(['a']);
    });
  });
});

describe('embedding input', () => {
  const BOS = 1;
  const EOS = 2;
  const SEP = 3;
  const TEXT = [7, 8];

  function modelWith(
    vocabularyType: Model['vocabularyType'],
    flags: { prepends?: boolean; appends?: boolean } = {},
  ) {
    const { prepends = false, appends = false } = flags;
    return {
      vocabularyType,
      tokens: {
        bos: BOS,
        eos: EOS,
        sep: SEP,
        shouldPrependBosToken: prepends,
        shouldAppendEosToken: appends,
      },
      tokenize: () => [...TEXT],
    };
  }

  describe('the tokens of a text', () => {
    it.each([
      ['wpm', {}, [BOS, ...TEXT, SEP]],
      ['ugm', {}, [...TEXT, EOS]],
      ['rwkv', { prepends: true, appends: true }, TEXT],
      ['bpe', { appends: true }, [...TEXT, EOS]],
      ['spm', { prepends: true, appends: true }, [BOS, ...TEXT, EOS]],
      ['spm', {}, TEXT],
    ] as const)('are framed as a vocabulary of kind %s with %o wants it', (kind, flags, tokens) => {
      expect(encodeText(modelWith(kind, flags), 'text')).toEqual(tokens);
    });

    it('may come as they are, nothing around them', () => {
      expect(encodeInput(modelWith('wpm'), 9, [8, 0, 7])).toEqual([8, 0, 7]);
      expect(encodeInput(modelWith('wpm'), 9, 'text')).toEqual([BOS, ...TEXT, SEP]);
    });

    it.each([9, -1, 1.5, Number.NaN])(
      'are refused where %s is among them, which is none of 0 to 8',
      (token) => {
        const encode = () => encodeInput(modelWith('wpm'), 9, [8, token]);
        expect(encode).toThrow(expect.objectContaining({ code: 'invalid_request', param: 'input' }));
        expect(encode).toThrow(`input names token ${token}, but this model’s tokens are 0 to 8.`);
      },
    );

    it('are returned without special tokens on request, and for texts only', () => {
      const text = { kind: 'text', prompt: 'text' } as const;
      expect(encodeForEmbedding(modelWith('wpm'), { input: text })).toEqual([BOS, ...TEXT, SEP]);
      expect(encodeForEmbedding(modelWith('wpm'), { input: text, addSpecial: false })).toEqual(TEXT);
      const chat = { kind: 'chat', messages: [] } as const;
      expect(() => encodeForEmbedding(modelWith('wpm'), { input: chat })).toThrow(
        expect.objectContaining({ code: 'invalid_request', param: 'messages' }),
      );
    });

    it('come from the library’s own description of a model', () => {
      const described = (model: LlamaModel): Pick<EmbeddingModel, 'tokens' | 'vocabularyType'> => model;
      expect(described).toBeTypeOf('function');
    });
  });

  describe('the pooling of a model file', () => {
    const file = (pooling_type?: number) => ({ general: { architecture: 'bert' }, bert: { pooling_type } });

    it.each([
      [1, 'mean'],
      [2, 'cls'],
      [3, 'last'],
      [4, 'rank'],
      [0, undefined],
      [undefined, undefined],
      [9, undefined],
    ])('%s means %s', (type, pooling) => {
      expect(poolingOf(file(type))).toBe(pooling);
    });

    it('is looked for under the file’s own architecture', () => {
      expect(poolingOf({ general: { architecture: 'qwen3' }, bert: { pooling_type: 1 } })).toBeUndefined();
      expect(poolingOf(undefined)).toBeUndefined();
    });
  });

  describe('a vector', () => {
    it('is given length 1', () => {
      expect(normalized(Float64Array.of(3, -4))).toEqual([0.6, -0.8]);
    });

    it('of zeros stays one', () => {
      expect(normalized(Float64Array.of(0, 0))).toEqual([0, 0]);
    });

    it('that is no vector is an error', () => {
      expect(() => normalized(Float64Array.of(1, Number.NaN))).toThrow('no numbers');
      expect(() => normalized(Float64Array.of(1, Number.POSITIVE_INFINITY))).toThrow('no numbers');
    });
  });
});
