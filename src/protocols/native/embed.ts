/** POST /embed: a vector for each text. Strict: an unknown field, a wrong type or an empty text is a 400 that names it. */

import { Type } from 'typebox';
import { wireTimings } from '../../core/request-trace.ts';
import { bodyReader } from '../body-reader.ts';
import { TEXTS } from '../examples.ts';
import type { EmbeddingRoute, ParsedEmbedding } from '../protocol.ts';
import { modelOf, TimingsSchema } from '../rendering.ts';
import { GenerateBody } from './schema.ts';

const MAX_INPUTS = 256;

const text = Type.String({ minLength: 1 });
const texts = Type.Array(text, { minItems: 1, maxItems: MAX_INPUTS });
const { model, timeout_ms, priority } = GenerateBody.properties;

const EmbedBody = Type.Object(
  {
    input: Type.Union([text, texts], {
      description: 'A text, or several. Special tokens written in one are plain text.',
    }),
    model,
    timeout_ms,
    priority,
  },
  { additionalProperties: false },
);
const EmbedAnswer = Type.Object({
  id: Type.String(),
  model: Type.String(),
  embeddings: Type.Array(Type.Array(Type.Number()), {
    description: 'One vector for each input, in their order; all of one length.',
  }),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
  timings: TimingsSchema,
});

const read = bodyReader(EmbedBody);

export const embedRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/embed',
  describes: {
    summary: 'Embed texts',
    description:
      'Waits in the queue like a generation, and answers with a vector for each text. The embedded engine’s are ' +
      'pooled as the model file says and of length 1. A text longer than the context is rejected, never cut.',
    body: { schema: EmbedBody, examples: { 'Two texts': { model: 'embedder', input: TEXTS } } },
    answers: { 'application/json': EmbedAnswer },
  },
  parse: parseEmbed,
};

function parseEmbed(raw: unknown, { requireModel }: Parameters<EmbeddingRoute['parse']>[1]): ParsedEmbedding {
  const body = read(raw);
  const model = requireModel(body.model).id;
  return {
    request: { model, inputs: typeof body.input === 'string' ? [body.input] : body.input },
    timeoutMs: body.timeout_ms,
    priority: body.priority,
    render: ({ vectors, promptTokens }, answer) => ({
      id: answer.id,
      model: modelOf(model, answer),
      embeddings: vectors,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      timings: wireTimings(answer.timings()),
    }),
  };
}
