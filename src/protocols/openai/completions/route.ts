/** The body that /v1/completions takes: validation, types and OpenAPI all come from here. */

import { type Static, Type } from 'typebox';
import { OUTPUT_EXTRAS } from '../../../core/features.ts';
import type { GenerationInput, GenerationRequest } from '../../../core/generation.ts';
import { bodyReader, extrasOf, nullableBodyReader } from '../../body-reader.ts';
import { invalid } from '../../field-errors.ts';
import type { GenerationRoute, ParseContext, ParsedGeneration } from '../../protocol.ts';
import { unsupported } from '../errors.ts';
import {
  clampToContext,
  deliveryFields,
  extensionFields,
  ignored,
  limitFields,
  MAX_CHOICES,
  model,
  parseDelivery,
  parseLimits,
  parseSampling,
  refused,
  rejectUnsupported,
  requestPerChoice,
  responseFormat,
  samplingFields,
} from '../request-fields.ts';
import { parseStructuredOutput } from '../structured-output.ts';
import { Completion, CompletionChunk, completionRenderer } from './render.ts';

/** OpenAI's own, which clients rely on. */
const DEFAULT_MAX_TOKENS = 16;

const text = Type.String({ minLength: 1 });
const severalTexts = Type.Array(text, { minItems: 1 });
const tokenIds = Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 });
const severalTokenIds = Type.Array(tokenIds, { minItems: 1 });

export const CompletionBody = Type.Object({
  model,
  prompt: Type.Union([text, severalTexts, tokenIds, severalTokenIds], {
    title: 'a text of at least 1 character, a list of token ids, or a list of either',
    description:
      'Goes to the model as it is: no chat template, special tokens are parsed. Token ids are those of the model’s own ' +
      'vocabulary, and nothing is added to them. Of several prompts: n answers to each, in their order.',
  }),
  max_tokens: Type.Optional(
    Type.Integer({
      minimum: 1,
      description: `Default: ${DEFAULT_MAX_TOKENS}, as OpenAI’s. More than the context holds is lowered to it.`,
    }),
  ),
  ...samplingFields,
  ...limitFields,
  ...deliveryFields,
  response_format: Type.Optional(responseFormat),
  ...extensionFields,
  best_of: Type.Optional(Type.Integer({ minimum: 1, description: 'Only the same as n.' })),
  echo: Type.Optional(
    Type.Boolean({
      description: 'The prompt stands in front of the text. Not with logprobs, nor with token ids.',
    }),
  ),
  logprobs: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 20, description: 'So many of the likeliest tokens at each place.' }),
  ),
  suffix: refused(Type.String({ description: 'Refused: nothing is inserted in front of a text.' })),
  user: ignored(),
});

export type CompletionBody = Static<typeof CompletionBody>;

/** A text completion's body becomes GenerationRequests: `n` for each prompt. */

const read = nullableBodyReader(CompletionBody);

/** The form of a list, by its first entry: so that what is wrong with one prompt names that prompt. */
const readList = {
  string: bodyReader(Type.Object({ prompt: severalTexts })),
  number: bodyReader(Type.Object({ prompt: tokenIds })),
  object: bodyReader(Type.Object({ prompt: severalTokenIds })),
} as const;

function parseCompletion(raw: unknown, context: ParseContext): ParsedGeneration {
  const prompt: unknown = Object(raw).prompt;
  const entry = Array.isArray(prompt) ? typeof prompt[0] : undefined;
  if (entry === 'string' || entry === 'number' || entry === 'object') readList[entry](raw);
  const body = read(raw);
  const { n = 1, echo = false, logprobs } = body;
  refuseFields(body);
  rejectUnsupported(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const prompts = parsePrompts(body);
  if (prompts.length * n > MAX_CHOICES)
    throw invalid(
      'n',
      `n is ${n}, of each of ${prompts.length} prompts: at most ${MAX_CHOICES} answers may be asked for at once.`,
    );
  const { output, fieldNames } = parseStructuredOutput(body);
  const extras = extrasOf(body, CompletionBody, OUTPUT_EXTRAS);
  const model = context.requireModel(body.model);
  const request: Omit<GenerationRequest, 'id' | 'input'> = {
    model: model.id,
    sampling: parseSampling(body),
    limits: parseLimits(body, {
      maxTokens: clampToContext(body.max_tokens ?? DEFAULT_MAX_TOKENS, model.contextSize),
      ...(body.max_tokens === undefined && { maxTokensIsDefault: true }),
    }),
    // Only a chat template can ask for it, and what is written is the text.
    thinking: false,
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
    renderer: completionRenderer(requests, { includeUsage, answersPerPrompt: n, echo }),
    fieldNames,
  };
}

function refuseFields({ best_of, n = 1, suffix, echo, logprobs }: CompletionBody): void {
  if (suffix !== undefined && suffix !== '')
    throw unsupported('suffix', 'is not supported', 'Leave it away: text is only ever continued.');
  if (best_of !== undefined && best_of !== n)
    throw unsupported(
      'best_of',
      `is ${best_of}, but only as many answers are made as are given: n, which is ${n}`,
      'Leave it away.',
    );
  if (echo && logprobs !== undefined)
    throw unsupported(
      'logprobs',
      'is not supported with echo: prompts have no log-probabilities here',
      'Leave one of the two away.',
    );
}

function parsePrompts({ prompt, echo }: CompletionBody): readonly GenerationInput[] {
  if (typeof prompt === 'string') return [{ kind: 'text', prompt }];
  const [first] = prompt;
  if (typeof first === 'string')
    return (prompt as readonly string[]).map((text) => ({ kind: 'text', prompt: text }));
  if (echo) throw unsupported('echo', 'is not supported with a prompt of token ids', 'Send the text.');
  const lists = typeof first === 'number' ? [prompt as readonly number[]] : (prompt as readonly number[][]);
  return lists.map((tokens) => ({ kind: 'tokens', tokens }));
}

/** POST /v1/completions. */

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
    body: CompletionBody,
    example: { prompt: 'Once upon a time', max_tokens: 16 },
    answers: { 'application/json': Completion, 'text/event-stream': CompletionChunk },
  },
  parse: parseCompletion,
};
