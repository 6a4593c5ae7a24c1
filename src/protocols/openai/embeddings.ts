/** POST /v1/embeddings: a vector for each input, as numbers or in base64. */

import { type Static, Type } from 'typebox';
import type { EmbeddingInput } from '../../core/backend.ts';
import { bodyReader, nullableBodyReader } from '../body-reader.ts';
import type { EmbeddingRoute, ParsedEmbedding } from '../protocol.ts';
import { ignored, model } from './request-fields.ts';

const MAX_INPUTS = 2048;

const text = Type.String({ minLength: 1 });
const tokens = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });
const severalTexts = Type.Array(text, { minItems: 1, maxItems: MAX_INPUTS });
const severalTokens = Type.Array(tokens, { minItems: 1, maxItems: MAX_INPUTS });

const EmbeddingsBody = Type.Object({
  model,
  input: Type.Union([text, severalTexts, tokens, severalTokens], {
    title: `a text of at least 1 character, a list of token ids, or a list of 1 to ${MAX_INPUTS} of either`,
    description:
      'Special tokens written in a text are plain text. Token ids are of the model’s own vocabulary.',
  }),
  encoding_format: Type.Optional(
    Type.Enum(['float', 'base64'], {
      description: 'base64: of 32-bit floats, little-endian. Default: float.',
    }),
  ),
  dimensions: Type.Optional(
    Type.Integer({ minimum: 1, description: 'Length of the vectors, for models that can shorten them.' }),
  ),
  user: ignored(),
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

const read = nullableBodyReader(EmbeddingsBody);

/** The form of a list, by its first entry: so that what is wrong with one input names that input. */
const readList = {
  string: bodyReader(Type.Object({ input: severalTexts })),
  number: bodyReader(Type.Object({ input: tokens })),
  object: bodyReader(Type.Object({ input: severalTokens })),
} as const;

export const embeddingsRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/v1/embeddings',
  describes: {
    summary: 'Embed texts',
    description:
      'As the OpenAI API has it. An input longer than the context is refused, never cut. Fields that are not listed are ignored.',
    body: EmbeddingsBody,
    example: { model: 'embedder', input: 'The cat sits on the mat.' },
    answers: { 'application/json': EmbeddingsAnswer },
  },
  parse: parseEmbeddings,
};

function parseEmbeddings(
  raw: unknown,
  { requireModel }: Pick<Parameters<EmbeddingRoute['parse']>[1], 'requireModel'>,
): ParsedEmbedding {
  const input: unknown = Object(raw).input;
  const entry = Array.isArray(input) ? typeof input[0] : undefined;
  if (entry === 'string' || entry === 'number' || entry === 'object') readList[entry](raw);
  const body = read(raw);
  const model = requireModel(body.model).id;
  const encode = body.encoding_format === 'base64' ? base64Floats : (vector: readonly number[]) => vector;
  return {
    request: {
      model,
      inputs: inputsOf(body),
      ...(body.dimensions !== undefined && { dimensions: body.dimensions }),
    },
    timeoutMs: undefined,
    priority: undefined,
    render: ({ vectors, promptTokens }): Static<typeof EmbeddingsAnswer> => ({
      object: 'list',
      data: vectors.map((vector, index) => ({
        object: 'embedding',
        index,
        embedding: encode(vector) as number[] | string,
      })),
      model,
      usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    }),
  };
}

function inputsOf({ input }: EmbeddingsBody): readonly EmbeddingInput[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as readonly number[]] : (input as readonly EmbeddingInput[]);
}

/** A vector as clients ask for it by default: its 32-bit floats, little-endian, in base64. */

/** So many may be the arguments of one call. */
const CHUNK_BYTES = 8192;

export function base64Floats(values: readonly number[]): string {
  const view = new DataView(new ArrayBuffer(values.length * 4));
  for (const [index, value] of values.entries()) view.setFloat32(index * 4, value, true);
  const bytes = new Uint8Array(view.buffer);
  let text = '';
  for (let start = 0; start < bytes.length; start += CHUNK_BYTES)
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK_BYTES));
  return btoa(text);
}
