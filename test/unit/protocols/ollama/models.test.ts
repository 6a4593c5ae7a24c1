import { describe, expect, it } from 'vitest';
import type { ServedModel } from '../../../../src/core/backend.ts';
import { ServingError } from '../../../../src/core/errors.ts';
import { runningRoute, showRoute, tagsRoute } from '../../../../src/protocols/ollama/models.ts';
import { versionRoute } from '../../../../src/protocols/ollama/protocol.ts';
import { pullRoute } from '../../../../src/protocols/ollama/pull.ts';
import {
  isStreamed,
  type PullProgress,
  type QueryContext,
  type QueryRoute,
} from '../../../../src/protocols/protocol.ts';

const target = { backend: 'x', model: 'x', state: 'ready', loaded: true } as const;
const model: ServedModel = {
  id: 'org/m',
  aliases: ['n:7b'],
  contextSize: 100,
  ready: true,
  abilities: ['generate', 'tools', 'think', 'see', 'embed'],
  details: {
    sizeBytes: 98_362_432,
    format: 'gguf',
    family: 'llama',
    families: ['llama'],
    parameterSize: '134.52M',
    quantization: 'Q4_1',
    trainedContextSize: 8192,
    embeddingLength: 576,
  },
  digest: 'ab'.repeat(32),
  targets: [target],
};

function houseWith(models: readonly ServedModel[], pull: QueryContext['pull'] = refusesToPull): QueryContext {
  return {
    defaultModel: 'm',
    version: '0.1.0',
    startedAt: 1_700_000_000_000,
    now: 1_700_000_001_000,
    models: () => models,
    requireModel: (name = 'org/m', { anyCase = false } = {}) => {
      const spelled = (text: string) => (anyCase ? text.toLowerCase() : text);
      const found = models.find(({ id, aliases }) => [id, ...aliases].map(spelled).includes(spelled(name)));
      if (found === undefined) throw new ServingError('model_not_found', { message: 'None.' });
      return found;
    },
    tokenize: async () => [],
    detokenize: async () => '',
    pull,
  };
}

function refusesToPull(): never {
  throw new ServingError('forbidden');
}

const ask = async (route: QueryRoute, body?: unknown, house = houseWith([model])) =>
  route.answer({ body, params: {}, headers: {} }, house);

async function linesOf(answer: unknown): Promise<unknown[]> {
  if (!isStreamed(answer)) throw new Error('comes in one piece');
  const lines: unknown[] = [];
  for await (const piece of answer.chunks) lines.push(JSON.parse(piece));
  return lines;
}

describe('models', () => {
  it('are listed with their aliases, each with a tag', async () => {
    const { models } = (await ask(tagsRoute)) as { models: { name: string; modified_at: string }[] };
    expect(models.map(({ name }) => name)).toEqual(['org/m:latest', 'n:7b']);
    expect(models[0]?.modified_at).toBe('2023-11-14T22:13:20.000Z');
  });

  it('are listed with what is known of their weights, and with a digest that their aliases share', async () => {
    const { models } = (await ask(tagsRoute)) as { models: object[] };
    const facts = {
      size: 98_362_432,
      digest: 'ab'.repeat(32),
      details: {
        parent_model: '',
        format: 'gguf',
        family: 'llama',
        families: ['llama'],
        parameter_size: '134.52M',
        quantization_level: 'Q4_1',
        context_length: 8192,
        embedding_length: 576,
      },
    };
    expect(models).toMatchObject([facts, facts]);
    expect(await ask(runningRoute)).toMatchObject({ models: [facts] });
  });

  it('are listed with empty facts where nothing is known', async () => {
    expect(await ask(tagsRoute, undefined, houseWith([{ ...model, details: {} }]))).toMatchObject({
      models: [{ size: 0, details: { family: '', families: [], parameter_size: '' } }, {}],
    });
  });

  it('are found in any case, the one that is spelled so first', async () => {
    const other = { ...model, id: 'ORG/M', aliases: [], contextSize: 7 };
    const shown = async (name: string) => await ask(showRoute, { model: name }, houseWith([model, other]));
    expect(await shown('Org/M:Latest')).toMatchObject({ model_info: { 'llama.context_length': 100 } });
    expect(await shown('ORG/M')).toMatchObject({ model_info: { 'llama.context_length': 7 } });
    expect(await shown('N:7B')).toMatchObject({ model_info: { 'llama.context_length': 100 } });
  });

  it('are running while any target has them loaded', async () => {
    const idle = { ...model, id: 'idle', targets: [{ ...target, loaded: false }] };
    expect(await ask(runningRoute, undefined, houseWith([idle, model]))).toMatchObject({
      models: [{ name: 'org/m:latest', context_length: 100 }],
    });
  });

  it('show what they can do, as far as that is known', async () => {
    expect(await ask(showRoute, { model: 'org/m:latest' })).toMatchObject({
      capabilities: ['completion', 'tools', 'thinking', 'vision', 'embedding'],
      model_info: {
        'general.architecture': 'llama',
        'llama.context_length': 100,
        'llama.embedding_length': 576,
      },
    });
    const silent = { ...model, abilities: [], details: {}, contextSize: undefined };
    expect(await ask(showRoute, { name: 'n:7b' }, houseWith([silent]))).toMatchObject({
      capabilities: ['completion'],
      model_info: { 'general.architecture': 'unknown' },
    });
    expect(await ask(showRoute, {})).toEqual(await ask(showRoute, { model: 'org/m' }));
    await expect(ask(pullRoute, {})).rejects.toThrow('model is required.');
    await expect(ask(showRoute, undefined)).rejects.toThrow('The body is not given');
  });

  it('are those of a release that clients accept', async () => {
    expect(await ask(versionRoute)).toEqual({
      version: '0.17.4',
      server: { name: 'llm-serve', version: '0.1.0' },
    });
  });
});

describe('a model that is pulled', () => {
  async function* progress(...marks: readonly (readonly [number, number])[]): AsyncGenerator<PullProgress> {
    for (const [doneBytes, totalBytes] of marks) yield { label: 'f.gguf', doneBytes, totalBytes };
  }

  it('is told of once for each percent', async () => {
    const marks = Array.from({ length: 1001 }, (_, done) => [done, 1000] as const);
    const house = houseWith([], (name) => {
      if (name !== 'x') throw new ServingError('model_not_found', { message: 'None.' });
      return progress(...marks);
    });
    const lines = await linesOf(await ask(pullRoute, { model: 'x:latest' }, house));
    expect(lines[0]).toEqual({ status: 'pulling manifest' });
    expect(lines[1]).toEqual({ status: 'pulling f.gguf', digest: 'f.gguf', total: 1000, completed: 0 });
    expect(lines.at(-2)).toMatchObject({ completed: 1000 });
    expect(lines.at(-1)).toEqual({ status: 'success' });
    expect(lines).toHaveLength(103);
    expect(await ask(pullRoute, { model: 'x', stream: false }, house)).toEqual({ status: 'success' });
    await expect(ask(pullRoute, { model: 'y' }, house)).rejects.toThrow("model 'y' not found");
  });

  it('is told of now and then where nobody knows how large it is', async () => {
    const marks = Array.from({ length: 64 }, (_, step) => [step * 1024 * 1024, 0] as const);
    const lines = await linesOf(
      await ask(
        pullRoute,
        { model: 'x' },
        houseWith([], () => progress(...marks)),
      ),
    );
    expect(lines).toHaveLength(6);
    expect(lines[1]).toEqual({ status: 'pulling f.gguf', digest: 'f.gguf', completed: 0 });
  });

  it('fails with a line of its own, never with success', async () => {
    const broken = async function* (): AsyncGenerator<PullProgress> {
      yield { label: 'f', doneBytes: 1, totalBytes: 2 };
      throw new ServingError('backend_error', { message: 'The line is dead.' });
    };
    const lines = await linesOf(await ask(pullRoute, { model: 'x' }, houseWith([], broken)));
    expect(lines.at(-1)).toEqual({ error: 'The line is dead.' });
    expect(lines).toHaveLength(3);
    await expect(ask(pullRoute, { model: 'x', stream: false }, houseWith([], broken))).rejects.toThrow(
      'dead',
    );
  });

  it('is not fetched where it is served, unless what serves it lacks it', async () => {
    expect(await linesOf(await ask(pullRoute, { model: 'org/m' }))).toEqual([
      { status: 'pulling manifest' },
      { status: 'success' },
    ]);
    const lacking = { ...model, targets: [{ ...target, state: 'not_found' as const, loaded: false }] };
    await expect(ask(pullRoute, { model: 'org/m' }, houseWith([lacking]))).rejects.toMatchObject({
      code: 'forbidden',
    });
  });
});
