/**
 * GET /v1/models and /v1/models/{id} for clients of the Anthropic API, which has the same paths as the OpenAI API: its clients send
 * an anthropic-version. All models are on one page, whatever page is requested.
 */
import { type Static, Type } from 'typebox';
import type { ServedModel } from '../../core/backend.ts';
import type { QueryContext } from '../protocol.ts';
import { everyName, type ModelListFormat } from '../protocol.ts';

const tokens = Type.Union([Type.Integer(), Type.Null()], { description: 'Tokens; null where not known.' });

const ModelInfo = Type.Object({
  type: Type.Literal('model'),
  id: Type.String(),
  display_name: Type.String({ description: 'The id again.' }),
  created_at: Type.String({ format: 'date-time', description: 'When this server started.' }),
  max_input_tokens: tokens,
  max_tokens: tokens,
  lifecycle: Type.Literal('active'),
  deprecated_at: Type.Null(),
  retires_at: Type.Null(),
  line: Type.Null(),
  capabilities: Type.Null(),
});

const ModelPage = Type.Object({
  data: Type.Array(ModelInfo),
  has_more: Type.Literal(false),
  first_id: Type.Union([Type.String(), Type.Null()]),
  last_id: Type.Union([Type.String(), Type.Null()]),
});

export const anthropicModels: ModelListFormat = {
  matches: ({ headers }) => headers['anthropic-version'] !== undefined,
  list: modelPage,
  one: modelInfo,
  schemas: { list: ModelPage, one: ModelInfo },
};

function modelPage(context: QueryContext): Static<typeof ModelPage> {
  const data = everyName(context, (name, model) => modelInfo(name, model, context));
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
}

function modelInfo(
  name: string,
  { contextSize }: ServedModel,
  { startedAt }: QueryContext,
): Static<typeof ModelInfo> {
  return {
    type: 'model',
    id: name,
    display_name: name,
    created_at: new Date(startedAt).toISOString(),
    max_input_tokens: contextSize ?? null,
    max_tokens: contextSize ?? null,
    lifecycle: 'active',
    deprecated_at: null,
    retires_at: null,
    line: null,
    capabilities: null,
  };
}
