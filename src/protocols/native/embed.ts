/** POST /embed: a vector for each text. Strict: an unknown field, a wrong type or an empty text is a 400 that names it. */
import { type Static, Type } from 'typebox';
import type { Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { compileCheck, describeViolation } from '../../schema/violation.ts';
import type { EmbeddingAnswerContext, EmbeddingRoute, ParsedEmbedding } from '../embedding-route.ts';
import { renderError } from './render.ts';
import { GenerateBody } from './schema.ts';

const MOST_INPUTS = 256;

const text = Type.String({ minLength: 1 });
const texts = Type.Array(text, { minItems: 1, maxItems: MOST_INPUTS });
const { model, timeout_ms, priority } = GenerateBody.properties;

const EmbedBody = Type.Object(
  {
    input: Type.Union([text, texts], {
      description: 'A text, or several. Special tokens written in one are plain text.',
    }),
    model,
    timeout_ms,
    priority,
  },
  { additionalProperties: false },
);
/** The same for a list, so that what is wrong with one text names that text. */
const EmbedListBody = Type.Object({ ...EmbedBody.properties, input: texts }, { additionalProperties: false });

type EmbedBody = Static<typeof EmbedBody>;

const EmbedAnswer = Type.Object({
  id: Type.String(),
  model: Type.String(),
  embeddings: Type.Array(Type.Array(Type.Number()), {
    description: 'One vector for each input, in their order; all of one length.',
  }),
  usage: Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() }),
  timings: Type.Object({ queue_ms: Type.Number(), total_ms: Type.Number() }),
});

const check = compileCheck<EmbedBody>(EmbedBody);
const checkList = compileCheck<EmbedBody>(EmbedListBody);

export const embedRoute: EmbeddingRoute = {
  kind: 'embedding',
  method: 'POST',
  path: '/embed',
  body: EmbedBody,
  describes: {
    summary: 'Embed texts',
    description:
      'Waits in the queue like a generation, and answers with a vector for each text. The embedded engine’s are ' +
      'pooled as the model file says and of length 1. A text longer than the context is refused, never cut.',
    answer: EmbedAnswer,
    answerContentType: 'application/json',
  },
  parse: parseEmbed,
  render: renderEmbed,
  renderError,
};

function parseEmbed(
  raw: unknown,
  { defaultModel, requireModel }: Parameters<EmbeddingRoute['parse']>[1],
): ParsedEmbedding {
  const isList = Array.isArray((raw as { readonly input?: unknown } | null)?.input);
  const checked = (isList ? checkList : check)(raw);
  if ('violation' in checked) {
    const { path } = checked.violation;
    throw new ServingError('invalid_request', {
      message: describeViolation(checked.violation, 'The body'),
      ...(path === '' ? {} : { param: path }),
    });
  }
  const { input, model = defaultModel, timeout_ms, priority } = checked.value;
  requireModel(model);
  const inputs = typeof input === 'string' ? [input] : input;
  return { request: { model, inputs }, timeoutMs: timeout_ms, priority };
}

function renderEmbed({ vectors, promptTokens }: Embeddings, answer: EmbeddingAnswerContext): unknown {
  const { queueMs, totalMs } = answer.timings();
  return {
    id: answer.id,
    model: answer.request.model,
    embeddings: vectors,
    usage: { prompt_tokens: promptTokens, total_tokens: promptTokens },
    timings: { queue_ms: queueMs, total_ms: totalMs },
  };
}
