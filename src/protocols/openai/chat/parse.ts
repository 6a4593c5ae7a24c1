/** A chat body becomes GenerationRequests, one for each choice. Its unknown fields travel along for targets that know them. */
import { OUTPUT_EXTRAS } from '../../../core/binding-extras.ts';
import type { GenerationInput, GenerationRequest, LogprobsWish } from '../../../core/generation.ts';
import type { ParseContext, ParsedGeneration } from '../../generation-route.ts';
import { invalid } from '../../invalid.ts';
import { extrasOf, lenientReader } from '../../lenient-body.ts';
import { notTaken } from '../not-taken.ts';
import { parseOutput } from '../output-format.ts';
import { THINKING } from '../reasoning-effort.ts';
import {
  atMost,
  fanOut,
  parseDelivery,
  parseLimits,
  parseSampling,
  refuseUnanswerable,
} from '../sampling.ts';
import { parseConversation } from './conversation.ts';
import { chatRenderer } from './render.ts';
import { ChatBody } from './schema.ts';
import { parseTools } from './tools.ts';

const read = lenientReader(ChatBody);

/** Read here, and told by the same name to servers that have it. */
const ALSO_EXTRAS = [...OUTPUT_EXTRAS, 'add_generation_prompt'];

/** Refused where they are given at all: what to do instead. */
const REFUSED_FIELDS = {
  functions: 'Use tools instead.',
  function_call: 'Use tool_choice instead.',
  audio: 'Ask for text.',
  web_search_options: 'Search with a tool of your own.',
} as const satisfies Partial<Record<keyof ChatBody, string>>;

const REFUSED = Object.keys(REFUSED_FIELDS) as (keyof typeof REFUSED_FIELDS)[];

export function parseChat(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = read(raw);
  refuseFields(body);
  refuseUnanswerable(body);
  const { delivery, includeUsage } = parseDelivery(body);
  const input = parseInput(body);
  const tools = parseTools(body);
  const { output, fieldNames } = parseOutput(body);
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ChatBody, ALSO_EXTRAS);
  const model = context.requireModel(body.model);
  const mostTokens = body.max_completion_tokens ?? body.max_tokens;
  const request: Omit<GenerationRequest, 'id'> = {
    model: model.id,
    input,
    sampling: parseSampling(body),
    limits: parseLimits(
      body,
      mostTokens === undefined ? {} : { maxTokens: atMost(mostTokens, model.contextSize) },
    ),
    ...(body.reasoning_effort !== undefined && { thinking: THINKING[body.reasoning_effort] }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
    ...(extras !== undefined && { extras }),
  };
  const requests = fanOut(request, body.n ?? 1, context.newRequestId);
  return {
    requests,
    delivery,
    timeoutMs: undefined,
    priority: undefined,
    renderer: chatRenderer(requests, { includeUsage }),
    fieldNames,
  };
}

function refuseFields(body: ChatBody): void {
  for (const field of REFUSED) {
    if (body[field] !== undefined) throw notTaken(field, 'is not supported', REFUSED_FIELDS[field]);
  }
  const other = body.modalities?.findIndex((modality) => modality !== 'text') ?? -1;
  if (other !== -1)
    throw notTaken(`modalities[${other}]`, 'is not supported', 'Ask for ["text"], or leave modalities away.');
}

function parseInput(body: ChatBody): GenerationInput {
  const messages = parseConversation(body.messages);
  if (!body.continue_final_message) return { kind: 'chat', messages };
  const field = 'continue_final_message';
  if (body.add_generation_prompt)
    throw invalid(
      'add_generation_prompt',
      `add_generation_prompt and ${field} are both true, but the answer either begins a turn or continues the last message.`,
    );
  if (messages.at(-1)?.role !== 'assistant')
    throw invalid(field, `${field} is true, but the last message has not role "assistant".`);
  return { kind: 'chat', messages, continuesLast: true };
}

function parseLogprobs({ logprobs, top_logprobs }: ChatBody): LogprobsWish | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  // Some send a 0 whether they want any or not.
  if (top_logprobs !== undefined && top_logprobs > 0)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}
