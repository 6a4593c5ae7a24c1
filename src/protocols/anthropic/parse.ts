/** The bodies of /v1/messages and of its count_tokens become a GenerationRequest, and the part of one that is a prompt. */

import type {
  GenerationInput,
  GenerationRequest,
  Message,
  OutputFormat,
  ReasoningEffort,
  Sampling,
  ToolUse,
} from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { nullableBodyReader, refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { ParseContext, ParsedGeneration } from '../protocol.ts';
import { serverBlocksIn } from './content.ts';
import { parseConversation } from './conversation.ts';
import { messageRenderer } from './render.ts';
import {
  CheckedCount,
  CheckedMessages,
  type ConversationBody,
  JsonFormat,
  type MessagesBody,
  OutputConfig,
  Thinking,
} from './schema.ts';
import { parseTools } from './tools.ts';

const readMessages = nullableBodyReader(CheckedMessages);
const readCount = nullableBodyReader(CheckedCount);

export function parseMessages(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = readMessages(raw, '');
  rejectServiceFields(body);
  const { input, tools, dropped } = parsePrompt(body);
  const output = parseOutput(body);
  const thinking = parseThinking(body);
  const extras = parseExtras(body);
  const model = context.requireModel(body.model);
  const request: GenerationRequest = {
    id: context.newRequestId(),
    model: model.id,
    input,
    sampling: parseSampling(body),
    limits: {
      maxTokens: Math.min(body.max_tokens, model.contextSize ?? body.max_tokens),
      stop: body.stop_sequences ?? [],
    },
    ...(thinking.wish !== undefined && { thinking: thinking.wish }),
    ...(output !== undefined && { output }),
    ...(tools !== undefined && { tools }),
    ...(extras !== undefined && { extras }),
  };
  return {
    requests: [request],
    delivery: body.stream === true ? 'stream' : 'whole',
    promptTokensFirst: true,
    timeoutMs: undefined,
    priority: undefined,
    ...(dropped.length > 0 && { dropped }),
    renderer: messageRenderer(request, { hidesThinking: thinking.omitted }),
  };
}

interface Prompt {
  readonly input: Extract<GenerationInput, { readonly kind: 'chat' }>;
  readonly tools: ToolUse | undefined;
  /** What was not taken, as X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

interface CountedPrompt extends Prompt {
  /** Absent: the default model. */
  readonly model: string | undefined;
  /** Templates write a prompt by it. */
  readonly thinking: ReasoningEffort | undefined;
}

/** All but the settings of the answer; what they would refuse is refused all the same. */
export function parseCount(raw: unknown): CountedPrompt {
  const body = readCount(raw, '');
  rejectServiceFields(body);
  const prompt = parsePrompt(body);
  parseOutput(body);
  return { ...prompt, model: body.model, thinking: parseThinking(body).wish };
}

function parsePrompt(body: ConversationBody): Prompt {
  const { use, dropped } = parseTools(body);
  return {
    input: inputOf(parseConversation(body.system, body.messages)),
    tools: use,
    dropped: [...dropped, ...serverBlocksIn(body.messages)],
  };
}

/** A last message of the assistant is the beginning of the answer (prefill), unless it says nothing. */
function inputOf(messages: readonly Message[]): Prompt['input'] {
  const last = messages.at(-1);
  if (last?.role !== 'assistant') return { kind: 'chat', messages };
  if (last.toolCalls !== undefined)
    throw invalid(
      'messages',
      'messages ends with a tool_use, which needs its tool_result: end with a message with role "user" that has it.',
    );
  const isEmpty = last.content === '' && last.reasoning === undefined;
  if (isEmpty && messages.length > 1) return { kind: 'chat', messages: messages.slice(0, -1) };
  return { kind: 'chat', messages, continuesLast: true };
}

function parseSampling({ temperature, top_p, top_k }: MessagesBody): Sampling {
  return {
    ...(temperature !== undefined && { temperature }),
    ...(top_p !== undefined && { topP: top_p }),
    ...(top_k !== undefined && { topK: top_k }),
  };
}

/** output_config and thinking become the core's wishes for the form of an answer and for the thoughts before it. */

const readConfig = nullableBodyReader(OutputConfig);
const readFormat = nullableBodyReader(JsonFormat);
const readThinking = nullableBodyReader(Thinking);

/** There is no more than much. */
const LEVELS = { low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' } as const;

/** `output_format` is what output_config.format was called before. */
function parseOutput({ output_config, output_format }: ConversationBody): OutputFormat | undefined {
  const format = output_config === undefined ? undefined : readConfig(output_config, 'output_config').format;
  if (format !== undefined && output_format !== undefined)
    throw invalid(
      'output_format',
      'output_format is the old name of output_config.format; only one may be given.',
    );
  const given = format ?? output_format;
  if (given === undefined) return undefined;
  const path = format === undefined ? 'output_format' : 'output_config.format';
  const { schema } = readFormat(given, path);
  refuseDeepNesting(schema, `${path}.schema`);
  return { kind: 'json-schema', schema };
}

interface ThinkingSetting {
  /** Undefined: as the model does when nothing is said. */
  readonly wish: ReasoningEffort | undefined;
  /** The thoughts are not shown. */
  readonly omitted: boolean;
}

/** How much the model thinks is said by the effort; a budget no backend takes. */
function parseThinking({ thinking, output_config }: ConversationBody): ThinkingSetting {
  if (thinking === undefined) return { wish: false, omitted: false };
  const { type, display } = readThinking(thinking, 'thinking');
  const omitted = display === 'omitted';
  switch (type) {
    case 'disabled':
      return { wish: false, omitted };
    case 'adaptive':
    case 'between_tools':
      return { wish: undefined, omitted };
    case 'enabled': {
      const { effort } = output_config === undefined ? {} : readConfig(output_config, 'output_config');
      return { wish: effort === undefined ? true : LEVELS[effort], omitted };
    }
    default:
      throw type satisfies never;
  }
}

/** Fields of a body that say nothing to a model: what this API knows and is meant for its own service, and what nobody here knows. */

/** The answer is the same without them. */
const IGNORED_FIELDS = [
  'anthropic_beta',
  'anthropic_version',
  'betas',
  'billing_policy',
  'cache_control',
  'context_management',
  'diagnostics',
  'fallback_credit_token',
  'fallbacks',
  'inference_geo',
  'metadata',
  'service_tier',
  'speed',
  'user_profile_id',
  'workspace_id',
] as const;

/** Field → what it would take. */
const REJECTED_FIELDS = {
  container: 'the server runs no containers',
  mcp_servers: 'the server connects to no other servers',
  thread: 'the server keeps no conversations; send all of its messages',
  compaction: 'the server keeps conversations as they are',
} as const;

const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...Object.keys(CheckedMessages.properties),
  ...Object.keys(REJECTED_FIELDS),
  ...IGNORED_FIELDS,
]);

function rejectServiceFields(body: Readonly<Record<string, unknown>>): void {
  for (const [field, reason] of Object.entries(REJECTED_FIELDS)) {
    const value = body[field];
    const asksNothing = value === undefined || (Array.isArray(value) && value.length === 0);
    if (!asksNothing)
      throw invalid(field, `${field} is ${showValue(value)}, but cannot be given here: ${reason}.`);
  }
}

/** For targets that take them by name. */
function parseExtras(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | undefined {
  const extras = Object.entries(body).filter(([field]) => !KNOWN_FIELDS.has(field));
  for (const [field, value] of extras) refuseDeepNesting(value, field);
  return extras.length === 0 ? undefined : Object.fromEntries(extras);
}
