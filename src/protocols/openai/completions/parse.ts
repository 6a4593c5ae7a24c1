/** A text completion's body becomes GenerationRequests: `n` for each prompt. */
import type { GenerationRequest } from '../../../core/generation.ts';
import type { ParseContext, ParsedGeneration } from '../../generation-route.ts';
import { invalid } from '../../invalid.ts';
import { extrasOf, lenientReader } from '../../lenient-body.ts';
import { MOST_ANSWERS } from '../generation-fields.ts';
import { notTaken } from '../not-taken.ts';
import { atMost, fanOut, parseDelivery, parseLimits, parseSampling } from '../sampling.ts';
import { completionRenderer } from './render.ts';
import { CompletionBody, DEFAULT_MAX_TOKENS } from './schema.ts';

const read = lenientReader(CompletionBody);

export function parseCompletion(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = read(raw);
  const { n = 1, echo = false, logprobs } = body;
  refuseFields(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const prompts = parsePrompts(body);
  if (prompts.length * n > MOST_ANSWERS)
    throw invalid(
      'n',
      `n is ${n}, of each of ${prompts.length} prompts: at most ${MOST_ANSWERS} answers may be asked for at once.`,
    );
  const extras = extrasOf(body, CompletionBody);
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
    ...(logprobs !== undefined && { logprobs: { top: logprobs } }),
    ...(extras !== undefined && { extras }),
  };
  const requests = prompts.flatMap((prompt) =>
    fanOut({ ...request, input: { kind: 'text', prompt } }, n, context.newRequestId),
  );
  return {
    requests,
    delivery,
    timeoutMs: undefined,
    priority: undefined,
    renderer: completionRenderer(requests, { includeUsage, answersPerPrompt: n, echo }),
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

function parsePrompts({ prompt }: CompletionBody): readonly string[] {
  if (typeof prompt === 'string') return [prompt];
  const texts = prompt.filter((entry) => typeof entry === 'string');
  if (texts.length === prompt.length) return texts;
  throw notTaken('prompt', 'is made of tokens, which is not supported', 'Send the text.');
}
