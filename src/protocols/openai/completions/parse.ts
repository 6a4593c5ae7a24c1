/** A text completion's body becomes GenerationRequests: `n` for each prompt. */
import { Type } from 'typebox';
import { OUTPUT_EXTRAS } from '../../../core/binding-extras.ts';
import type { GenerationInput, GenerationRequest } from '../../../core/generation.ts';
import { bodyReader } from '../../checked-body.ts';
import type { ParseContext, ParsedGeneration } from '../../generation-route.ts';
import { invalid } from '../../invalid.ts';
import { extrasOf, lenientReader } from '../../lenient-body.ts';
import { MOST_ANSWERS } from '../generation-fields.ts';
import { notTaken } from '../not-taken.ts';
import { parseOutput } from '../output-format.ts';
import {
  atMost,
  fanOut,
  parseDelivery,
  parseLimits,
  parseSampling,
  refuseUnanswerable,
} from '../sampling.ts';
import { completionRenderer } from './render.ts';
import { CompletionBody, DEFAULT_MAX_TOKENS, severalTexts, severalTokenIds, tokenIds } from './schema.ts';

const read = lenientReader(CompletionBody);

/** The form of a list, by its first entry: so that what is wrong with one prompt names that prompt. */
const readList = {
  string: bodyReader<unknown>(Type.Object({ prompt: severalTexts })),
  number: bodyReader<unknown>(Type.Object({ prompt: tokenIds })),
  object: bodyReader<unknown>(Type.Object({ prompt: severalTokenIds })),
} as const;

export function parseCompletion(raw: unknown, context: ParseContext): ParsedGeneration {
  const prompt: unknown = Object(raw).prompt;
  const entry = Array.isArray(prompt) ? typeof prompt[0] : undefined;
  if (entry === 'string' || entry === 'number' || entry === 'object') readList[entry](raw);
  const body = read(raw);
  const { n = 1, echo = false, logprobs } = body;
  refuseFields(body);
  refuseUnanswerable(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const prompts = parsePrompts(body);
  if (prompts.length * n > MOST_ANSWERS)
    throw invalid(
      'n',
      `n is ${n}, of each of ${prompts.length} prompts: at most ${MOST_ANSWERS} answers may be asked for at once.`,
    );
  const { output, fieldNames } = parseOutput(body);
  const extras = extrasOf(body, CompletionBody, OUTPUT_EXTRAS);
  const model = context.requireModel(body.model);
  const request: Omit<GenerationRequest, 'id' | 'input'> = {
    model: model.id,
    sampling: parseSampling(body),
    limits: parseLimits(body, {
      maxTokens: atMost(body.max_tokens ?? DEFAULT_MAX_TOKENS, model.contextSize),
      ...(body.max_tokens === undefined && { maxTokensIsDefault: true }),
    }),
    // Only a chat template can ask for it, and what is written is the text.
    thinking: false,
    ...(output !== undefined && { output }),
    ...(logprobs !== undefined && { logprobs: { top: logprobs } }),
    ...(extras !== undefined && { extras }),
  };
  const requests = prompts.flatMap((input) => fanOut({ ...request, input }, n, context.newRequestId));
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
    throw notTaken('suffix', 'is not supported', 'Leave it away: text is only ever continued.');
  if (best_of !== undefined && best_of !== n)
    throw notTaken(
      'best_of',
      `is ${best_of}, but only as many answers are made as are given: n, which is ${n}`,
      'Leave it away.',
    );
  if (echo && logprobs !== undefined)
    throw notTaken(
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
  if (echo) throw notTaken('echo', 'is not supported with a prompt of token ids', 'Send the text.');
  const lists = typeof first === 'number' ? [prompt as readonly number[]] : (prompt as readonly number[][]);
  return lists.map((tokens) => ({ kind: 'tokens', tokens }));
}
