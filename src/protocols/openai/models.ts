/**
 * GET /v1/models and /v1/models/{id}: the served models, aliases included, as the OpenAI API lists them; in another protocol's
 * format for clients of one that has the same paths.
 */
import { type Static, Type } from 'typebox';
import type { ServedModel } from '../../core/backend.ts';
import type { QueryContext, QueryRoute } from '../protocol.ts';
import { everyName, type ModelListFormat } from '../protocol.ts';

const Model = Type.Object({
  id: Type.String(),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'When this server started, in seconds since 1970.' }),
  owned_by: Type.String({ description: 'The backend of its first target.' }),
  max_model_len: Type.Optional(Type.Integer({ description: 'Tokens of its context, where it is known.' })),
});

const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) });

const openAiFormat: ModelListFormat = {
  matches: () => true,
  list: (context): Static<typeof ModelList> => ({
    object: 'list',
    data: everyName(context, (name, model) => describeModel(name, model, context)),
  }),
  one: describeModel,
  schemas: { list: ModelList, one: Model },
};

function describeModel(
  name: string,
  { contextSize, targets }: ServedModel,
  { startedAt }: QueryContext,
): Static<typeof Model> {
  return {
    id: name,
    object: 'model',
    created: Math.floor(startedAt / 1000),
    owned_by: targets[0]?.backend ?? 'unknown',
    ...(contextSize !== undefined && { max_model_len: contextSize }),
  };
}

/** `others`: the formats of protocols whose clients look for models at the same paths. */
export function modelRoutes(others: readonly ModelListFormat[]): readonly QueryRoute[] {
  const formats = [...others, openAiFormat];
  const formatFor = (query: Parameters<QueryRoute['answer']>[0]): ModelListFormat =>
    formats.find((format) => format.matches(query)) ?? openAiFormat;
  const answers = (which: keyof ModelListFormat['schemas']) => ({
    'application/json': Type.Union(formats.map(({ schemas }) => schemas[which])),
  });
  const shared = { kind: 'query', method: 'GET', limited: false } as const;
  return [
    {
      ...shared,
      path: '/v1/models',
      describes: {
        summary: 'List models',
        description:
          'Every configured model under its id and its aliases, ready or not (see GET /ready). A request with the header ' +
          'anthropic-version is answered in the format of the Anthropic API.',
        answers: answers('list'),
      },
      answer: (query, context) => formatFor(query).list(context),
    },
    {
      ...shared,
      path: '/v1/models/*',
      describes: {
        summary: 'Describe one model',
        description: 'By its id or an alias; both may contain slashes.',
        answers: answers('one'),
      },
      answer: (query, context) => {
        const name = query.params['*'] ?? '';
        return formatFor(query).one(name, context.requireModel(name), context);
      },
    },
  ];
}
