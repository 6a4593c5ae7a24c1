import { afterEach, expect, it } from 'vitest';
import {
  cannotCut,
  cannotEmbed,
  readEmbeddings,
} from '../../../../src/backends/openai-compatible/embedding.ts';
import { OpenAiCompatibleBackend } from '../../../../src/backends/openai-compatible/openai-compatible-backend.ts';
import type { EmbeddingInput } from '../../../../src/core/backend.ts';
import { silentLog } from '../../../../src/core/log.ts';
import { systemClock } from '../../../../src/system-clock.ts';
import { neverAborted } from '../../../support/stand-ins/generate.ts';
import { type OpenAiStandInOptions, startOpenAiStandIn } from '../../../support/stand-ins/openai-stand-in.ts';

const endings: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0)) await end();
});

async function start(options: OpenAiStandInOptions) {
  const standIn = await startOpenAiStandIn(options);
  const target = { model: 'smollm2', url: standIn.url, flavor: 'auto' as const, connect_timeout_ms: 1000 };
  const backend = new OpenAiCompatibleBackend(target, { clock: systemClock, log: silentLog });
  endings.push(
    () => standIn.close(),
    () => backend.close(),
  );
  const embed = (inputs: readonly EmbeddingInput[], dimensions?: number) =>
    backend.embed(
      { model: 'm', inputs, ...(dimensions !== undefined && { dimensions }) },
      { signal: neverAborted() },
    );
  return { standIn, embed };
}

it('asks for plain numbers: the default of some clients is base64', async () => {
  const { standIn, embed } = await start({});
  await embed(['a', 'b']);
  expect(standIn.seen().at(-1)).toMatchObject({
    path: '/v1/embeddings',
    body: { model: 'smollm2', input: ['a', 'b'], encoding_format: 'float' },
  });
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
  expect(cannotCut({ status: 400, headers: {}, body: { error: { message } } })).toMatchObject(refused);
});

it.each(['vllm', 'llama-server'] as const)('says that a %s without embeddings makes none', async (server) => {
  const { embed } = await start({ server, embeds: false });
  await expect(embed(['a'])).rejects.toMatchObject({ code: 'invalid_request', param: 'model' });
});

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
    readEmbeddings({ data: data.map(({ embedding }) => ({ embedding })) }, { inputs: ['a', 'b'] }).vectors[0],
  ).toEqual([0, 1]);
  expect(() => readEmbeddings({ data: [] }, { inputs: ['a', 'b'] })).toThrow(
    expect.objectContaining({ code: 'backend_error' }),
  );
});

it('leaves other refusals to what they are', () => {
  const body = { error: { message: 'The model `x` does not exist.' } };
  expect(cannotEmbed({ status: 404, headers: {}, body })).toBeUndefined();
  const refused = { error: { message: 'The model does not support Embeddings API' } };
  expect(cannotEmbed({ status: 400, headers: {}, body: refused })?.code).toBe('invalid_request');
});
