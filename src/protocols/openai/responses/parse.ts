/** A body of POST /v1/responses becomes a GenerationRequest. */
import { OUTPUT_EXTRAS } from '../../../core/binding-extras.ts';
import type { GenerationInput, GenerationRequest, Message } from '../../../core/generation.ts';
import { plainTurns } from '../../../core/plain-turns.ts';
import type { ParseContext, ParsedGeneration } from '../../generation-route.ts';
import { extrasOf, lenientReader } from '../../lenient-body.ts';
import { refuseDeepNesting } from '../../nesting.ts';
import { parseOutput } from '../output-format.ts';
import { THINKING } from '../reasoning-effort.ts';
import { parseLimits, parseSampling, refuseUnanswerable } from '../sampling.ts';
import type { AnsweredAs } from './answered-as.ts';
import { hostedItemsIn, parseItems } from './conversation.ts';
import { parseLogprobs } from './logprobs-wish.ts';
import { definitionsIn, type OfferedTools, parseTools } from './offered-tools.ts';
import { outputFormatOf, parseFormat } from './output-format.ts';
import { refuseFields } from './refusals.ts';
import { responsesRenderer } from './render.ts';
import { ReasoningSettings, ResponsesFields } from './request-schema.ts';
import { frameOf } from './response-frame.ts';
import { parseToolChoice, toolUseOf } from './tools.ts';

const read = lenientReader(ResponsesFields);
const readReasoning = lenientReader(ReasoningSettings);

export function parseResponses(raw: unknown, context: ParseContext): ParsedGeneration {
  const { request, body, frame, answered, dropped, fieldNames } = parseRequest(raw, context);
  return {
    requests: [request],
    delivery: body.stream ? 'stream' : 'whole',
    timeoutMs: undefined,
    priority: undefined,
    ...(dropped.length > 0 && { dropped }),
    renderer: responsesRenderer(request, frame, answered),
    fieldNames,
  };
}

export function parseRequest(raw: unknown, context: Pick<ParseContext, 'newRequestId' | 'requireModel'>) {
  // Anything but an object is refused by the reader, and not walked before.
  if (isObject(raw)) for (const [field, value] of Object.entries(raw)) refuseDeepNesting(value, field);
  refuseFields(raw);
  const body = read(raw, '');
  refuseUnanswerable(body);
  const offered = parseTools(definitionsIn(body));
  const toolChoice = parseToolChoice(body.tool_choice, offered);
  const format = parseFormat(body.text);
  const { effort, summary } = readReasoning(body.reasoning ?? {}, 'reasoning');
  const input = parseInput(body, offered);
  const tools = toolUseOf(offered, toolChoice, body);
  const { output, fieldNames } = parseOutput(body, outputFormatOf(format));
  const logprobs = parseLogprobs(body);
  const extras = extrasOf(body, ResponsesFields, OUTPUT_EXTRAS);
  const { id: model, contextSize } = context.requireModel(body.model);
  const request: GenerationRequest = {
    id: context.newRequestId(),
    model,
    input,
    sampling: parseSampling(body),
    limits: parseLimits(body, limitOf(body, contextSize)),
    ...(effort !== undefined && { thinking: THINKING[effort] }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(logprobs !== undefined && { logprobs }),
    ...(extras !== undefined && { extras }),
  };
  const reasoning = { effort: effort ?? null, summary: summary === 'none' ? null : (summary ?? null) };
  const frame = frameOf({ request, body, tools: offered.echo, toolChoice, format, reasoning });
  const answered: AnsweredAs = { tools: offered, summarises: reasoning.summary !== null };
  const dropped = [...offered.dropped, ...hostedItemsIn(body.input)];
  return { request, body, frame, answered, dropped, fieldNames };
}

function parseInput({ input, instructions = '' }: ResponsesFields, tools: OfferedTools): GenerationInput {
  const messages: readonly Message[] =
    typeof input === 'string' ? [{ role: 'user', content: input }] : parseItems(input, tools);
  const system: readonly Message[] = instructions === '' ? [] : [{ role: 'system', content: instructions }];
  return { kind: 'chat', messages: plainTurns([...system, ...messages]) };
}

function limitOf(
  { max_output_tokens }: ResponsesFields,
  contextSize = Number.POSITIVE_INFINITY,
): Pick<GenerationRequest['limits'], 'maxTokens'> {
  return max_output_tokens === undefined ? {} : { maxTokens: Math.min(max_output_tokens, contextSize) };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
