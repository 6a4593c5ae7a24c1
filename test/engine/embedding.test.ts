/** The embedded engine with tiny models that embed, whose vectors are computed beside it. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { LlamaCppBackend } from '../../src/backends/llama-cpp/engine-backend.ts';
import type { EmbeddingInput } from '../../src/core/backend.ts';
import { ServingError } from '../../src/core/errors.ts';
import { embeddedEngine, never, read, requestFor } from '../support/embedded-engine.ts';
import { pulled } from '../support/pulled-generation.ts';
import type { TinyModelOptions } from '../support/tiny-embedding-model.ts';
import { tinyModelFile } from '../support/tiny-model-file.ts';

type Started = Awaited<ReturnType<typeof start>>;

interface Starting {
  readonly contextSize?: number;
  readonly endsWith?: (end: () => Promise<void>) => void;
}

async function start(
  options: TinyModelOptions = {},
  { contextSize = 64, endsWith = onTestFinished }: Starting = {},
) {
  const model = await tinyModelFile(options);
  const { backend, lines, pids } = embeddedEngine({ model: model.path, context_size: contextSize });
  endsWith(() => backend.close());
  return { model, backend, lines, pids };
}

async function loaded(...given: Parameters<typeof start>): Promise<Started> {
  const started = await start(...given);
  await started.backend.warmUp({ signal: never() });
  return started;
}

function embed(backend: LlamaCppBackend, inputs: readonly EmbeddingInput[], signal = never()) {
  return backend.embed({ model: 'tiny', inputs }, { signal });
}

function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
}

function expectClose(vector: readonly number[] | undefined, expected: readonly number[]): void {
  expect(vector).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(vector?.[index]).toBeCloseTo(value, 5);
}

const KINDS = [
  ['bert', 'mean'],
  ['bert', 'cls'],
  ['bert', 'last'],
  ['llama', 'mean'],
  ['llama', 'cls'],
  ['llama', 'last'],
] as const;

describe('a model that pools', () => {
  let models: readonly Started[];
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    const endsWith = (end: () => Promise<void>) => void ends.push(end);
    const loading = KINDS.map(([architecture, pooling]) => loaded({ architecture, pooling }, { endsWith }));
    models = await Promise.all(loading);
  });
  afterAll(() => Promise.all(ends.map((end) => end())));

  it.each(KINDS)(
    'as %s and %s does so and normalizes as computed by hand, and counts the tokens around a text',
    async (...kind) => {
      const { model, backend } = models[KINDS.findIndex((each) => each.join() === kind.join())] as Started;
      const texts = ['the cat sits on the mat', 'revenue grew', 'cat the', 'the cat sits on the mat'];
      const { vectors, promptTokens } = await embed(backend, texts);
      for (const [index, text] of texts.entries()) expectClose(vectors[index], model.vectorOf(text));
      expect(promptTokens).toBe(8 + 4 + 4 + 8);
      // The engine remembers nothing of the texts before.
      expect(vectors[3]).toEqual(vectors[0]);
    },
  );
});

describe('a model that embeds', () => {
  let started: Started;
  const ends: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    started = await loaded({}, { endsWith: (end) => void ends.push(end) });
  });
  afterAll(() => Promise.all(ends.map((end) => end())));

  it('is ready with the context that it has, and says when it was asked for more', async () => {
    const { backend, lines } = await loaded({ trainedContext: 32 }, { contextSize: 512 });
    const abilities = ['embed'];
    expect(await backend.probe()).toMatchObject({ state: 'ready', loaded: true, contextSize: 32, abilities });
    expect(lines.join('\n')).toContain('more than the model was trained for');
  });

  it('takes a text that fills its context, pooled as a whole, and refuses a longer one with both numbers', async () => {
    const { model, backend } = await loaded({ trainedContext: 600 }, { contextSize: 600 });
    const filling = Array.from({ length: 598 }, (_, index) => (index % 3 === 0 ? 'cat' : 'runs')).join(' ');
    const { vectors, promptTokens } = await embed(backend, [filling]);
    expect(promptTokens).toBe(600);
    expectClose(vectors[0], model.vectorOf(filling));
    const failure = await failureOf(embed(backend, ['cat', `${filling} dog`]));
    expect(failure).toMatchObject({ code: 'context_length_exceeded', param: 'input' });
    expect((failure as ServingError).message).toMatch(/Text 2 of the input has 601 tokens.* 600/);
  });

  it('embeds what is no word by the tokens around it', async () => {
    const { model, backend } = started;
    const { vectors, promptTokens } = await embed(backend, [' ', 'zzz']);
    expectClose(vectors[0], model.vectorOf(''));
    expectClose(vectors[1], model.vectorOf('zzz'));
    expect(promptTokens).toBe(2 + 3);
  });

  it('takes special tokens in a text for plain text', async () => {
    const { backend } = started;
    const plain = await embed(backend, ['[SEP]']);
    expect(plain.promptTokens).toBeGreaterThan(3);
  });

  it('tells the tokens of a text, embeds them as they are, and refuses those it does not have', async () => {
    const { backend, model } = started;
    const { tokenizer } = backend;
    const input = { kind: 'text', prompt: 'the cat runs' } as const;
    const tokens = await tokenizer.encode({ input }, { signal: never() });
    expect(tokens).toEqual(model.tokensOf(input.prompt));
    const bare = await tokenizer.encode({ input, addSpecial: false }, { signal: never() });
    expect(bare).toEqual(tokens.slice(1, -1));
    // In a vocabulary of words, a blank belongs to each.
    expect(await tokenizer.decode(bare, { signal: never() })).toBe(' the cat runs');
    const { vectors, promptTokens } = await embed(backend, [tokens, input.prompt]);
    expect(vectors[0]).toEqual(vectors[1]);
    expect(promptTokens).toBe(2 * tokens.length);
    for (const unknown of [17, -1]) {
      const failure = await failureOf(embed(backend, [input.prompt, [1, unknown]]));
      expect(failure).toMatchObject({ code: 'invalid_request', param: 'input' });
    }
    const chat = tokenizer.encode({ input: { kind: 'chat', messages: [] } }, { signal: never() });
    expect(await failureOf(chat)).toMatchObject({ code: 'invalid_request', param: 'messages' });
  });

  it('refuses to generate, and names the field', async () => {
    const { backend } = started;
    const failure = await failureOf(read(pulled(backend, requestFor('hello'), { signal: never() })));
    expect(failure).toMatchObject({ code: 'invalid_request', param: 'model' });
    expect((failure as ServingError).message).toContain('only makes embeddings (pooling: mean)');
  });

  it('waits for an engine that is still loading', async () => {
    const { backend, model } = await start();
    const warming = backend.warmUp({ signal: never() });
    await expect.poll(async () => (await backend.probe()).detail).toBe('The model is being loaded.');
    const { vectors } = await embed(backend, ['the dog runs']);
    expectClose(vectors[0], model.vectorOf('the dog runs'));
    await warming;
  });

  it('answers several requests at once, each with its own vectors', async () => {
    const { backend, model } = started;
    const words = ['cat', 'dog', 'mat', 'revenue'];
    const asked = words.map((word) => embed(backend, [`the ${word}`, word]));
    for (const [index, { vectors }] of (await Promise.all(asked)).entries()) {
      expectClose(vectors[0], model.vectorOf(`the ${words[index]}`));
      expectClose(vectors[1], model.vectorOf(words[index] ?? ''));
    }
  });

  it('aborted, rejects with the reason and goes on with others', async () => {
    const { backend } = started;
    const controller = new AbortController();
    const reason = new ServingError('client_gone');
    const many = failureOf(embed(backend, Array<string>(256).fill('the cat sits'), controller.signal));
    const beside = embed(backend, ['dog']);
    await beside;
    controller.abort(reason);
    expect(await many).toBe(reason);
    expect((await embed(backend, ['dog'])).vectors).toEqual((await beside).vectors);
  });

  it('fails what its engine had when that dies, and embeds again afterwards', async () => {
    const { backend, pids } = await loaded();
    const under = failureOf(embed(backend, Array<string>(256).fill('the cat sits')));
    process.kill(pids[0] ?? 0, 'SIGKILL');
    expect(await under).toMatchObject({ code: 'backend_error' });
    expect((await embed(backend, ['dog'])).vectors).toHaveLength(1);
  });
});

describe('other models', () => {
  it('that generates refuses to embed, and says what to load instead', async () => {
    const { backend } = await loaded({ architecture: 'llama', pooling: 'none' });
    const failure = await failureOf(embed(backend, ['cat']));
    expect(failure).toMatchObject({ code: 'invalid_request', param: 'model' });
    expect((failure as ServingError).message).toMatch(/makes no embeddings.*pooling_type mean, cls or last/);
  });

  it('that ranks is not loaded at all', async () => {
    const { backend } = await start({ pooling: 'rank' });
    const failure = await failureOf(backend.warmUp({ signal: never() }));
    expect((failure as ServingError).message).toContain('is a reranker (pooling: rank)');
  });
});
