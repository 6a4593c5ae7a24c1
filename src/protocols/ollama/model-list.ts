/**
 * GET /api/tags and GET /api/ps: which models there are, and which are in memory. What is not known of a model is empty or 0:
 * it may be a file here, or anything behind another server. Only its digest is always told, and is no other model's.
 */
import { type Static, Type } from 'typebox';
import type { ServedModel } from '../../core/served-model.ts';
import { everyName } from '../model-form.ts';
import type { House, QueryRoute } from '../query-route.ts';
import { withTag } from './model-name.ts';
import { timeOf } from './timings.ts';

/** What stays loaded is said to expire in a year so far off that clients write "forever". */
const FOREVER = '2318-01-01T00:00:00Z';

export const Details = Type.Object(
  {
    parent_model: Type.String(),
    format: Type.String(),
    family: Type.String(),
    families: Type.Array(Type.String()),
    parameter_size: Type.String(),
    quantization_level: Type.String(),
    context_length: Type.Optional(Type.Integer({ description: 'Tokens it was trained for.' })),
    embedding_length: Type.Optional(Type.Integer()),
  },
  { description: 'As its Ollama server or its file tells them; empty where neither does.' },
);

export function detailsOf({ details }: ServedModel): Static<typeof Details> {
  const { format, family, families, parameterSize, quantization, trainedContextSize, embeddingLength } =
    details;
  return {
    parent_model: '',
    format: format ?? '',
    family: family ?? '',
    families: [...(families ?? [])],
    parameter_size: parameterSize ?? '',
    quantization_level: quantization ?? '',
    ...(trainedContextSize !== undefined && { context_length: trainedContextSize }),
    ...(embeddingLength !== undefined && { embedding_length: embeddingLength }),
  };
}

const names = {
  name: Type.String({ description: 'With its tag: "latest" where it has none.' }),
  model: Type.String({ description: 'The same.' }),
};
const size = Type.Integer({ description: 'Of its file, in bytes; 0 where it is not known.' });
const digest = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description:
    'Of its file, or what its Ollama server knows it by; else of its configuration. The same for its aliases, and no other model’s.',
});

const Tags = Type.Object({
  models: Type.Array(
    Type.Object({
      ...names,
      modified_at: Type.String({ format: 'date-time', description: 'When this server started.' }),
      size,
      digest,
      details: Details,
    }),
  ),
});

const Running = Type.Object({
  models: Type.Array(
    Type.Object({
      ...names,
      size,
      digest,
      details: Details,
      expires_at: Type.String({ format: 'date-time' }),
      size_vram: Type.Integer({ description: 'Not known here: 0.' }),
      context_length: Type.Integer({ description: 'Tokens; 0 where it is not known.' }),
    }),
  ),
});

export const tagsRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/api/tags',
  limited: false,
  describes: {
    summary: 'List models, as Ollama does it',
    description: 'Every configured model under its id and its aliases, ready or not: GET /ready tells that.',
    answers: { 'application/json': Tags },
  },
  answer: (_, house): Static<typeof Tags> => ({
    models: everyName(house, (name, model) => ({
      ...namesOf(name),
      modified_at: startOf(house),
      ...factsOf(model),
      details: detailsOf(model),
    })),
  }),
};

export const runningRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/api/ps',
  limited: false,
  describes: {
    summary: 'List loaded models, as Ollama does it',
    description: 'Those in memory at any of their targets.',
    answers: { 'application/json': Running },
  },
  answer: (_, house): Static<typeof Running> => ({
    models: house
      .models()
      .filter(isLoaded)
      .map((model) => ({
        ...namesOf(model.id),
        ...factsOf(model),
        details: detailsOf(model),
        expires_at: FOREVER,
        size_vram: 0,
        context_length: model.contextSize ?? 0,
      })),
  }),
};

export function startOf({ startedAt }: House): string {
  return timeOf(startedAt);
}

function factsOf({ digest, details }: ServedModel) {
  return { size: details.sizeBytes ?? 0, digest };
}

function namesOf(name: string) {
  return { name: withTag(name), model: withTag(name) };
}

function isLoaded({ targets }: ServedModel): boolean {
  return targets.some(({ loaded }) => loaded);
}
