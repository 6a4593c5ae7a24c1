/**
 * GET /api/tags, GET /api/ps and POST /api/show: all models, those in memory, and one in detail. A model may be a file here or
 * anything behind another server: facts that are not known are empty or 0. Only the digest is always there, and unique.
 */
import { type Static, Type } from 'typebox';
import type { Ability, ServedModel } from '../../core/backend.ts';
import { nullableBodyReader } from '../body-reader.ts';
import type { QueryContext, QueryRoute } from '../protocol.ts';
import { everyName } from '../protocol.ts';
import { timeOf } from './answer.ts';
import { findNamed, withTag } from './model-name.ts';

/** A model that stays loaded expires in a year so far off that clients write "forever". */
const FOREVER = '2318-01-01T00:00:00Z';

const Details = Type.Object(
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
  { description: 'From its Ollama server or its file; empty where neither has them.' },
);

function detailsOf({ details }: ServedModel): Static<typeof Details> {
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
    description: 'Every configured model under its id and its aliases, ready or not (see GET /ready).',
    answers: { 'application/json': Tags },
  },
  answer: (_, context): Static<typeof Tags> => ({
    models: everyName(context, (name, model) => ({
      ...namesOf(name),
      modified_at: startOf(context),
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
  answer: (_, context): Static<typeof Running> => ({
    models: context
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

function startOf({ startedAt }: QueryContext): string {
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

/** Also of /api/pull. */
export const namingFields = {
  model: Type.Optional(Type.String({ description: 'A model or an alias; "name:latest" is "name".' })),
  name: Type.Optional(Type.String({ description: 'The older name of model.' })),
};

const ShowBody = Type.Object(namingFields);

const read = nullableBodyReader(ShowBody);

const unknownText = Type.String({ description: 'Not known here: empty.' });

const ShowAnswer = Type.Object({
  modelfile: unknownText,
  parameters: unknownText,
  template: unknownText,
  details: Details,
  model_info: Type.Object(
    {
      'general.architecture': Type.String({
        description: 'Its family, or "unknown": under which name the length of the context is found.',
      }),
    },
    {
      additionalProperties: true,
      description:
        'Facts of the model by their names in its file: `llama.context_length`, which is the length that it is served with, and ' +
        '`llama.embedding_length`, where they are known.',
    },
  ),
  capabilities: Type.Array(Type.Enum(['completion', 'tools', 'thinking', 'vision', 'embedding'])),
  modified_at: Type.String({ format: 'date-time', description: 'When this server started.' }),
});

type Capability = Static<typeof ShowAnswer>['capabilities'][number];

const CAPABILITIES: Readonly<Record<Ability, Capability>> = {
  generate: 'completion',
  tools: 'tools',
  think: 'thinking',
  see: 'vision',
  embed: 'embedding',
};

export const showRoute: QueryRoute = {
  kind: 'query',
  method: 'POST',
  path: '/api/show',
  limited: false,
  describes: {
    summary: 'Describe one model, as Ollama does it',
    description:
      'Its abilities, as far as its targets tell them (else "completion"), and the length of its context.',
    body: { schema: ShowBody, examples: { 'The default model': {} } },
    answers: { 'application/json': ShowAnswer },
  },
  answer: ({ body }, context): Static<typeof ShowAnswer> => {
    const model = findNamed(nameIn(read(body)), context.requireModel);
    return {
      modelfile: '',
      parameters: '',
      template: '',
      details: detailsOf(model),
      model_info: modelInfo(model),
      capabilities: capabilitiesOf(model),
      modified_at: startOf(context),
    };
  },
};

export function nameIn({ model, name }: Static<typeof ShowBody>): string {
  return model || name || '';
}

function modelInfo({ details, contextSize }: ServedModel) {
  const { family = 'unknown', embeddingLength } = details;
  return {
    'general.architecture': family,
    ...(contextSize !== undefined && { [`${family}.context_length`]: contextSize }),
    ...(embeddingLength !== undefined && { [`${family}.embedding_length`]: embeddingLength }),
  };
}

function capabilitiesOf({ abilities }: ServedModel): Capability[] {
  return abilities.length === 0 ? ['completion'] : abilities.map((ability) => CAPABILITIES[ability]);
}
