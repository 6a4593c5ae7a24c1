/** POST /v1/embeddings: a vector for each input, as numbers or in base64. */
import { type Static, Type } from 'typebox';
import type { EmbeddingInput } from '../../core/backend.ts';
import { nullableBodyReader } from '../body-reader.ts';
import { TEXTS } from '../examples.ts';
import type { EmbeddingRoute } from '../protocol.ts';
import { modelOf } from '../rendering.ts';
import { GOES_ALONG, ignored, model } from './request-fields.ts';

const MAX_INPUTS = 2048;

const text = Type.String({ minLength: 1 });
const tokenIds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });

export const EmbeddingsBody = Type.Object({
  model,
  input: Type.Union(
    [
      text,
      Type.Array(text, { minItems: 1, maxItems: MAX_INPUTS }),
      tokenIds,
      Type.Array(tokenIds, { minItems: 1, maxItems: MAX_INPUTS }),
    ],
    {
      title: `a text of at least 1 character, a list of token ids, or a list of 1 to ${MAX_INPUTS} of either`,
      description:
        'Special tokens written in a text are plain text. Token ids are of the model’s own vocabulary.',
    },
  ),
  encoding_format: Type.Optional(
    Type.Enum(['float', 'base64'], {
      description: 'base64: of 32-bit floats, little-endian. Default: float.',
    }),
  ),
  dimensions: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Length of the vectors, for models that can shorten them.' }),
  ),
  user: ignored(GOES_ALONG),
});

type EmbeddingsBody = Static<typeof EmbeddingsBody>;

const EmbeddingsAnswer = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(
    Type.Object({
      object: Type.Literal('embedding'),
      index: Type.Integer({ minimum: 0 }),
      embedding: Type.Union([Type.Array(Type.Number()), Type.String()]),
    }),
    { description: 'One for each input, in their order; all vectors are of one length.' },
  ),
  model: Type.String(),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
});

const readBody = nullableBodyReader(EmbeddingsBody);

export const embeddingsRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/v1/embeddings',
  describes: {
    summary: 'Embed texts',
    description:
      'As the OpenAI API has it. An input longer than the context is rejected, never cut. Fields that are not listed are ignored.',
    body: { schema: EmbeddingsBody, examples: { 'A text': { model: 'embedder', input: TEXTS[0] } } },
    answers: { 'application/json': EmbeddingsAnswer },
  },
  parse: (raw, { requireModel }) => {
    const body = readBody(raw);
    const { dimensions, encoding_format, user } = body;
    const model = requireModel(body.model).id;
    const encode = (vector: readonly number[]) =>
      encoding_format === 'base64' ? base64Floats(vector) : (vector as number[]);
    return {
      request: {
        model,
        inputs: inputsOf(body),
        ...(dimensions !== undefined && { dimensions }),
        ...(typeof user === 'string' && { user }),
      },
      timeoutMs: undefined,
      priority: undefined,
      render: ({ vectors, promptTokens }, answer): Static<typeof EmbeddingsAnswer> => ({
        object: 'list',
        data: vectors.map((vector, index) => ({ object: 'embedding', index, embedding: encode(vector) })),
        model: modelOf(model, answer),
        usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
      }),
    };
  },
};

function inputsOf({ input }: EmbeddingsBody): readonly EmbeddingInput[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as readonly number[]] : (input as readonly EmbeddingInput[]);
}

/** The most arguments that one call of String.fromCharCode is given. */
const CHUNK_BYTES = 8192;

/** A vector as clients ask for it by default: its 32-bit floats, little-endian, in base64. */
export function base64Floats(values: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true);
  const bytes = new Uint8Array(view.buffer);
  let text = '';
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES)
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  return btoa(text);
}
