/**
 * GET /api/tags and GET /api/ps: which models there are, and which are in memory. What is not known of a model is empty or 0:
 * it may be a file here, or anything behind another server.
 */
import { type Static, Type } from 'typebox';
import type { ServedModel } from '../../core/served-model.ts';
import { everyName } from '../model-form.ts';
import type { House, QueryRoute } from '../query-route.ts';
import { withTag } from './model-name.ts';
import { timeOf } from './timings.ts';

/** Programs cut the first characters off a digest, so it must have its length; this one plainly is none. */
const NO_DIGEST = '0'.repeat(64);
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
  },
  { description: 'Not known here: empty.' },
);

export const NO_DETAILS: Static<typeof Details> = {
  parent_model: '',
  format: '',
  family: '',
  families: [],
  parameter_size: '',
  quantization_level: '',
};

const names = {
  name: Type.String({ description: 'With its tag: "latest" where it has none.' }),
  model: Type.String({ description: 'The same.' }),
};
const size = Type.Integer({ description: 'Not known here: 0.' });
const digest = Type.String({ description: 'Not known here: 64 zeros.' });

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
      size_vram: size,
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
    models: everyName(house, (name) => ({
      ...namesOf(name),
      modified_at: startOf(house),
      size: 0,
      digest: NO_DIGEST,
      details: NO_DETAILS,
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
      .map(({ id, contextSize }) => ({
        ...namesOf(id),
        size: 0,
        digest: NO_DIGEST,
        details: NO_DETAILS,
        expires_at: FOREVER,
        size_vram: 0,
        context_length: contextSize ?? 0,
      })),
  }),
};

export function startOf({ startedAt }: House): string {
  return timeOf(startedAt);
}

function namesOf(name: string) {
  return { name: withTag(name), model: withTag(name) };
}

function isLoaded({ targets }: ServedModel): boolean {
  return targets.some(({ loaded }) => loaded);
}
