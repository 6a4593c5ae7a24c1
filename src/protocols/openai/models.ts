/** GET /v1/models and /v1/models/{id}: what is served, aliases included, as the OpenAI API lists it. */
import { type Static, Type } from 'typebox';
import { asksAsAnthropic, ModelInfo, ModelPage, modelInfo, modelPage } from '../anthropic/model-list.ts';
import type { House, QueryRoute, ServedModel } from '../query-route.ts';

const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'When this server started, in seconds since 1970.' }),
  owned_by: Type.String({ description: 'The backend of its first target.' }),
  max_model_len: Type.Optional(Type.Integer({ description: 'Tokens of its context, where they are known.' })),
});

const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) });

export const modelsRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/v1/models',
  limited: false,
  describes: {
    summary: 'List models',
    description:
      'Every configured model under its id and its aliases, ready or not: GET /ready tells that. A request with the header ' +
      'anthropic-version is answered in the form of the Anthropic API.',
    answers: { 'application/json': Type.Union([ModelList, ModelPage]) },
  },
  answer: (query, house) => (asksAsAnthropic(query) ? modelPage(house) : modelList(house)),
};

export const modelRoute: QueryRoute = {
  kind: 'query',
  method: 'GET',
  path: '/v1/models/*',
  limited: false,
  describes: {
    summary: 'Describe one model',
    description: 'By its id or an alias; both may contain slashes.',
    answers: { 'application/json': Type.Union([Model, ModelInfo]) },
  },
  answer: (query, house) => {
    const name = query.params['*'] ?? '';
    const describe = asksAsAnthropic(query) ? modelInfo : describeModel;
    return describe(name, house.requireModel(name), house);
  },
};

function modelList(house: House): Static<typeof ModelList> {
  return {
    object: 'list',
    data: house
      .models()
      .flatMap((model) => [model.id, ...model.aliases].map((name) => describeModel(name, model, house))),
  };
}

function describeModel(name: string, model: ServedModel, { startedAt }: House): Static<typeof Model> {
  return {
    id: name,
    object: 'model',
    created: Math.floor(startedAt / 1000),
    owned_by: model.targets[0]?.backend ?? 'unknown',
    ...(model.contextSize !== undefined && { max_model_len: model.contextSize }),
  };
}
