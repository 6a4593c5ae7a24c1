/** The body of /v1/messages becomes a GenerationRequest; that of its count_tokens the part of one that is a prompt. */
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
import { parseConversation } from './conversation.ts';
import { messageRenderer } from './render.ts';
import { CountBody, MessagesBody } from './schema.ts';
import { parseTools } from './tools.ts';

const readMessages = nullableBodyReader(MessagesBody);
const readCount = nullableBodyReader(CountBody);

export function parseMessages(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = readMessages(raw);
  rejectServiceFields(body);
  const { input, tools, dropped } = parsePrompt(body);
  const output = parseOutput(body);
  const { effort, omitted } = parseThinking(body);
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
    ...(effort !== undefined && { thinking: effort }),
    ...(body.thinking === undefined && { thinkingIsDefault: true }),
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
    renderer: messageRenderer(request, { hidesThinking: omitted }),
  };
}

interface Prompt {
  readonly input: Extract<GenerationInput, { readonly kind: 'chat' }>;
  readonly tools: ToolUse | undefined;
  /** As X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

interface CountedPrompt extends Prompt {
  /** Absent: the default model. */
  readonly model: string | undefined;
  /** Chat templates depend on it. */
  readonly thinking: ReasoningEffort | undefined;
}

/** A body that /v1/messages would reject is rejected here too. */
export function parseCount(raw: unknown): CountedPrompt {
  const body = readCount(raw);
  rejectServiceFields(body);
  const prompt = parsePrompt(body);
  parseOutput(body);
  return { ...prompt, model: body.model, thinking: parseThinking(body).effort };
}

function parsePrompt(body: CountBody): Prompt {
  const { use, dropped } = parseTools(body);
  return { input: inputOf(parseConversation(body.system, body.messages)), tools: use, dropped };
}

/** A last message of the assistant is the beginning of the answer (prefill), unless it is empty. */
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

function parseOutput({ output_config, output_format }: CountBody): OutputFormat | undefined {
  const format = output_config?.format;
  if (format !== undefined && output_format !== undefined)
    throw invalid(
      'output_format',
      'output_format is the old name of output_config.format; only one may be given.',
    );
  const schema = (format ?? output_format)?.schema;
  if (schema === undefined) return undefined;
  const field = format === undefined ? 'output_format' : 'output_config.format';
  refuseDeepNesting(schema, `${field}.schema`);
  return { kind: 'json-schema', schema };
}

/** There is no effort above high. */
const EFFORTS = { low: 'low', medium: 'medium', high: 'high', xhigh: 'high', max: 'high' } as const;

interface ThinkingSetting {
  /** Undefined: the model's own default. */
  readonly effort: ReasoningEffort | undefined;
  /** The answer shows no thinking. */
  readonly omitted: boolean;
}

/** The effort is what backends know; none of them takes a budget. */
function parseThinking({ thinking, output_config }: CountBody): ThinkingSetting {
  if (thinking === undefined) return { effort: false, omitted: false };
  const { type, display } = thinking;
  const omitted = display === 'omitted';
  switch (type) {
    case 'disabled':
      return { effort: false, omitted };
    case 'adaptive':
    case 'between_tools':
      return { effort: undefined, omitted };
    case 'enabled': {
      const effort = output_config?.effort;
      return { effort: effort === undefined ? true : EFFORTS[effort], omitted };
    }
    default:
      throw type satisfies never;
  }
}

/** Fields for the vendor's own service: the answer is the same without them. */
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

/** Fields that would change the answer → why they are rejected. */
const REJECTED_FIELDS = {
  container: 'the server runs no containers',
  mcp_servers: 'the server connects to no other servers',
  thread: 'the server keeps no conversations; send all of its messages',
  compaction: 'the server keeps conversations as they are',
} as const;

function rejectServiceFields(body: Readonly<Record<string, unknown>>): void {
  for (const [field, reason] of Object.entries(REJECTED_FIELDS)) {
    const value = body[field];
    const isEmpty = value === undefined || (Array.isArray(value) && value.length === 0);
    if (!isEmpty)
      throw invalid(field, `${field} is ${showValue(value)}, but cannot be given here: ${reason}.`);
  }
}

const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...Object.keys(MessagesBody.properties),
  ...Object.keys(REJECTED_FIELDS),
  ...IGNORED_FIELDS,
]);

/** Fields that this API does not have, for targets that take them by name. */
function parseExtras(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> | undefined {
  const extras = Object.entries(body).filter(([field]) => !KNOWN_FIELDS.has(field));
  for (const [field, value] of extras) refuseDeepNesting(value, field);
  return extras.length === 0 ? undefined : Object.fromEntries(extras);
}
