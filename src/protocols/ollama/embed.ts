/** POST /api/embed, a vector for each text, and the older /api/embeddings, for one text. */

import { Type } from 'typebox';
import { nullableBodyReader } from '../body-reader.ts';
import { TEXTS } from '../examples.ts';
import type { EmbeddingRoute } from '../protocol.ts';
import { modelOf } from '../rendering.ts';
import { metrics, nanosecondsOf } from './answer.ts';
import { findNamed } from './model-name.ts';
import { droppedFields } from './parse.ts';
import { keepAlive } from './schema.ts';

const MAX_INPUTS = 2048;

const vector = Type.Array(Type.Number());
const texts = Type.Array(Type.String({ minLength: 1 }), { maxItems: MAX_INPUTS });

const shared = {
  model: Type.Optional(Type.String({ description: 'Default: default_model.' })),
  options: Type.Optional(
    Type.Record(Type.String(), Type.Unknown(), {
      description:
        'None of them concerns vectors. X-Dropped-Parameters names those that other routes of this API drop.',
    }),
  ),
  keep_alive: keepAlive,
};

const EmbedBody = Type.Object({
  ...shared,
  input: Type.Optional(
    Type.Union([Type.String(), texts], {
      description: 'A text, or several. Without any there are no vectors.',
    }),
  ),
  truncate: Type.Optional(
    Type.Boolean({
      description: 'Ignored: a text longer than the context is a 400, never cut.',
    }),
  ),
  dimensions: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Length of the vectors; default and 0: the model’s own.' }),
  ),
});

const EmbeddingsBody = Type.Object({ ...shared, prompt: Type.Optional(Type.String()) });

const read = nullableBodyReader(EmbedBody);
const readOne = nullableBodyReader(EmbeddingsBody);

export const embedRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/api/embed',
  describes: {
    summary: 'Embed texts, as Ollama does it',
    description: 'A text longer than the context is rejected, never cut.',
    body: { schema: EmbedBody, examples: { 'Two texts': { model: 'embedder', input: TEXTS } } },
    answers: {
      'application/json': Type.Object({
        model: Type.String({ description: 'As the request names it, or the default model’s id.' }),
        embeddings: Type.Array(vector, { description: 'One for each input, in their order.' }),
        total_duration: metrics.total_duration,
        prompt_eval_count: metrics.prompt_eval_count,
      }),
    },
  },
  parse: (raw, { requireModel }) => {
    const body = read(raw);
    const { model: name = '', input = '', dimensions = 0 } = body;
    const { id: model } = findNamed(name, requireModel);
    return {
      request: { model, inputs: listOf(input), ...(dimensions > 0 && { dimensions }) },
      timeoutMs: undefined,
      priority: undefined,
      ...droppedFields(body),
      render: ({ vectors, promptTokens }, answer) => ({
        model: modelOf(name || model, answer),
        embeddings: vectors,
        total_duration: nanosecondsOf(answer.timings().totalMs),
        prompt_eval_count: promptTokens,
      }),
    };
  },
};

export const embeddingsRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/api/embeddings',
  fieldNames: { input: 'prompt' },
  describes: {
    summary: 'Embed one text, as older clients of Ollama ask for it',
    description: 'POST /api/embed takes several.',
    body: { schema: EmbeddingsBody, examples: { 'A text': { model: 'embedder', prompt: TEXTS[0] } } },
    answers: { 'application/json': Type.Object({ embedding: vector }) },
  },
  parse: (raw, { requireModel }) => {
    const body = readOne(raw);
    const { model: name = '', prompt = '' } = body;
    return {
      request: { model: findNamed(name, requireModel).id, inputs: listOf(prompt) },
      timeoutMs: undefined,
      priority: undefined,
      ...droppedFields(body),
      render: ({ vectors }) => ({ embedding: vectors[0] ?? [] }),
    };
  },
};

/** An empty text is no input. */
function listOf(input: string | readonly string[]): readonly string[] {
  if (typeof input !== 'string') return input;
  return input === '' ? [] : [input];
}
