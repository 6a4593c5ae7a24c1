/** POST /v1/completions: a text is continued, without a chat template. One GenerationRequest for each choice of each prompt. */
import { type Static, Type } from 'typebox';
import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type { GenerationInput, GenerationRequest } from '../../../core/generation.ts';
import { extrasOf, nullableBodyReader } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import type { GenerationRoute, ParseContext, ParsedGeneration } from '../../protocol.ts';
import { unsupported } from '../errors.ts';
import {
  deliveryFields,
  END_USER_FIELDS,
  GOES_ALONG,
  ignored,
  limitFields,
  logitBias,
  MAX_CHOICES,
  model,
  parseDelivery,
  parseLimits,
  parseSampling,
  rejectUnanswerable,
  requestPerChoice,
  samplingFields,
  vllmFields,
} from '../request-fields.ts';
import { constraintFields, parseStructuredOutput, responseFormat } from '../structured-output.ts';
import { Completion, CompletionChunk, completionRenderer } from './render.ts';

/** OpenAI's own, which clients rely on. */
const DEFAULT_MAX_TOKENS = 16;

const text = Type.String({ minLength: 1 });
const tokenIds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });

export const CompletionBody = Type.Object({
  model,
  prompt: Type.Union(
    [text, Type.Array(text, { minItems: 1 }), tokenIds, Type.Array(tokenIds, { minItems: 1 })],
    {
      title: 'a text of at least 1 character, a list of token ids, or a list of either',
      description:
        'Goes to the model as it is: no chat template, special tokens are parsed. Token ids are those of the model’s own ' +
        'vocabulary, and nothing is added to them. Of several prompts: n answers to each, in their order.',
    },
  ),
  max_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `Default: ${DEFAULT_MAX_TOKENS}, as OpenAI’s. More than the context holds is lowered to it.`,
    }),
  ),
  ...samplingFields,
  ...logitBias,
  ...limitFields,
  ...deliveryFields,
  response_format: Type.Optional(responseFormat),
  ...constraintFields,
  ...vllmFields,
  best_of: Type.Optional(Type.Integer({ minimum: 1, description: 'Only the same as n.' })),
  echo: Type.Optional(
    Type.Boolean({
      description: 'The prompt stands in front of the text. Not with logprobs, nor with token ids.',
    }),
  ),
  logprobs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 20,
      description: 'How many of the likeliest tokens to show at each place.',
    }),
  ),
  suffix: Type.Optional(
    Type.String({ description: 'Rejected: a text is only ever continued.', deprecated: true }),
  ),
  user: ignored(GOES_ALONG),
});

type CompletionBody = Static<typeof CompletionBody>;

export const completionRoute: GenerationRoute = {
  kind: 'generation',
  method: 'POST',
  path: '/v1/completions',
  fieldNames: { repeat_penalty: 'repetition_penalty' },
  describes: {
    summary: 'Continue a text',
    description:
      'As the OpenAI API has it, without a chat template. null counts as absent; fields that are not listed are passed on to ' +
      'backends that take them, and ignored by all others. With stream, `data: [DONE]` means success: a stream that fails ends ' +
      'with an error event and without it.',
    body: {
      schema: CompletionBody,
      examples: { 'A beginning': { prompt: 'Once upon a time', max_tokens: 16 } },
    },
    answers: { 'application/json': Completion, 'text/event-stream': CompletionChunk },
  },
  parse: parseCompletion,
};

const PASSED_ON = [...OUTPUT_EXTRAS, ...END_USER_FIELDS];

const readBody = nullableBodyReader(CompletionBody);

function parseCompletion(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = readBody(raw);
  const { n = 1, echo = false, logprobs, max_tokens: maxTokens = DEFAULT_MAX_TOKENS } = body;
  rejectFields(body);
  rejectUnanswerable(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const prompts = parsePrompts(body);
  if (prompts.length * n > MAX_CHOICES)
    throw invalid(
      'n',
      `n is ${n}, for each of ${prompts.length} prompts, but a request may have at most ${MAX_CHOICES} choices.`,
    );
  const { output, fieldNames } = parseStructuredOutput(body);
  const extras = extrasOf(body, CompletionBody, PASSED_ON);
  const { id: model, contextSize } = context.requireModel(body.model);
  const request: Omit<GenerationRequest, 'id' | 'input'> = {
    model,
    sampling: parseSampling(body),
    limits: parseLimits(body, {
      maxTokens,
      maxTokensIsDefault: body.max_tokens === undefined,
      contextSize,
    }),
    // Only a chat template can ask for reasoning, and all that is written is the text.
    thinking: false,
    thinkingIsDefault: true,
    ...(output !== undefined && { output }),
    ...(logprobs !== undefined && { logprobs: { top: logprobs } }),
    ...(extras !== undefined && { extras }),
  };
  const requests = prompts.flatMap((input) =>
    requestPerChoice({ ...request, input }, n, context.newRequestId),
  );
  return {
    requests,
    delivery,
    timeoutMs: undefined,
    priority: undefined,
    renderer: completionRenderer(requests, { includeUsage, choicesPerPrompt: n, echo }),
    fieldNames,
  };
}

function rejectFields({ best_of, n = 1, suffix, echo, logprobs }: CompletionBody): void {
  if (suffix !== undefined && suffix !== '')
    throw unsupported('suffix', 'is not supported. Remove it: text is only ever continued.');
  if (best_of !== undefined && best_of !== n)
    throw unsupported(
      'best_of',
      `is ${best_of}, but only as many answers are generated as are returned: n, which is ${n}. Remove it.`,
    );
  if (echo && logprobs !== undefined)
    throw unsupported(
      'logprobs',
      'is not supported with echo: prompts have no log-probabilities here. Remove one of the two.',
    );
}

function parsePrompts({ prompt, echo }: CompletionBody): readonly GenerationInput[] {
  if (typeof prompt === 'string') return [{ kind: 'text', prompt }];
  const [first] = prompt;
  if (typeof first === 'string')
    return (prompt as readonly string[]).map((text) => ({ kind: 'text', prompt: text }));
  if (echo) throw unsupported('echo', 'is not supported with a prompt of token ids. Send the text.');
  const lists = typeof first === 'number' ? [prompt as readonly number[]] : (prompt as readonly number[][]);
  return lists.map((tokens) => ({ kind: 'tokens', tokens }));
}
