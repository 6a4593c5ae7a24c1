/**
 * GET /v1/models and /v1/models/{id}: what is served, aliases included, as the OpenAI API lists it; in another protocol's form for
 * clients of one that has the same paths.
 */
import { type Static, Type } from 'typebox';
import type { ServedModel } from '../../core/backend.ts';
import { everyName, type ModelListFormat } from '../model-list.ts';
import type { QueryContext, QueryRoute } from '../protocol.ts';

const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'When this server started, in seconds since 1970.' }),
  owned_by: Type.String({ description: 'The backend of its first target.' }),
  max_model_len: Type.Optional(Type.Integer({ description: 'Tokens of its context, where they are known.' })),
});

const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) });

const openAiFormat: ModelListFormat = {
  matches: () => true,
  list: (house): Static<typeof ModelList> => ({
    object: 'list',
    data: everyName(house, (name, model) => describeModel(name, model, house)),
  }),
  one: describeModel,
  schemas: { list: ModelList, one: Model },
};

export function modelRoutes(others: readonly ModelListFormat[]): readonly QueryRoute[] {
  const forms = [...others, openAiFormat];
  const formFor: (query: Parameters<QueryRoute['answer']>[0]) => ModelListFormat = (query) =>
    forms.find((form) => form.matches(query)) ?? openAiFormat;
  const answerIn = (which: keyof ModelListFormat['schemas']) => ({
    'application/json': Type.Union(forms.map(({ schemas }) => schemas[which])),
  });
  const shared = { kind: 'query', method: 'GET', limited: false } as const;
  return [
    {
      ...shared,
      path: '/v1/models',
      describes: {
        summary: 'List models',
        description:
          'Every configured model under its id and its aliases, ready or not: GET /ready tells that. A request with the header ' +
          'anthropic-version is answered in the form of the Anthropic API.',
        answers: answerIn('list'),
      },
      answer: (query, house) => formFor(query).list(house),
    },
    {
      ...shared,
      path: '/v1/models/*',
      describes: {
        summary: 'Describe one model',
        description: 'By its id or an alias; both may contain slashes.',
        answers: answerIn('one'),
      },
      answer: (query, house) => {
        const name = query.params['*'] ?? '';
        return formFor(query).one(name, house.requireModel(name), house);
      },
    },
  ];
}

function describeModel(name: string, model: ServedModel, { startedAt }: QueryContext): Static<typeof Model> {
  return {
    id: name,
    object: 'model',
    created: Math.floor(startedAt / 1000),
    owned_by: model.targets[0]?.backend ?? 'unknown',
    ...(model.contextSize !== undefined && { max_model_len: model.contextSize }),
  };
}
