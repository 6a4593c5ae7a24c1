/** POST /api/show: what is known of one model. Editors read its abilities and the length of its context there. */
import { type Static, Type } from 'typebox';
import type { Ability } from '../../core/backend.ts';
import type { ServedModel } from '../../core/served-model.ts';
import { lenientReader } from '../lenient-body.ts';
import type { QueryRoute } from '../query-route.ts';
import { Details, detailsOf, startOf } from './model-list.ts';
import { findNamed } from './model-name.ts';

/** Also of /api/pull: `name` is what older clients say for `model`. */
export const namingFields = {
  model: Type.Optional(Type.String({ description: 'A model or an alias; "name:latest" is "name".' })),
  name: Type.Optional(Type.String({ description: 'The older word for model.' })),
};

const ShowBody = Type.Object(namingFields);

const read = lenientReader(ShowBody);

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
    body: ShowBody,
    example: {},
    answers: { 'application/json': ShowAnswer },
  },
  answer: ({ body }, house): Static<typeof ShowAnswer> => {
    const model = findNamed(nameIn(read(body)), house.requireModel);
    return {
      modelfile: '',
      parameters: '',
      template: '',
      details: detailsOf(model),
      model_info: modelInfo(model),
      capabilities: capabilitiesOf(model),
      modified_at: startOf(house),
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
