/** A native body becomes a GenerationRequest. Strict: an unknown field, a wrong type or a contradiction is a 400 that names it. */
import type {
  GenerationInput,
  GenerationRequest,
  LogprobsOptions,
  Message,
  OutputFormat,
  Sampling,
  Tool,
  ToolCall,
  ToolChoice,
  ToolUse,
} from '../../core/generation.ts';
import { showValue } from '../../schema/violation.ts';
import { bodyReader, refuseDeepNesting } from '../body-reader.ts';
import { invalid } from '../field-errors.ts';
import type { ParseContext, ParsedGeneration } from '../protocol.ts';
import { samplingReader } from '../sampling-fields.ts';
import { checkParameters, requireUniqueName, ToolCallMatcher } from '../tools.ts';
import { nativeRenderer } from './render.ts';
import {
  GenerateBody,
  type MessageBody,
  type ToolCallList,
  type ToolChoiceBody,
  type ToolList,
} from './schema.ts';

const read = bodyReader(GenerateBody);

export function parseGenerate(delivery: ParsedGeneration['delivery']) {
  return (raw: unknown, context: ParseContext): ParsedGeneration => {
    const body = read(raw);
    const input = parseInput(body);
    const tools = parseTools(body);
    const output = parseOutput(body);
    const logprobs = parseLogprobs(body);
    const model = context.requireModel(body.model);
    const request: GenerationRequest = {
      id: context.newRequestId(),
      model: model.id,
      input,
      sampling: parseSampling(body),
      limits: {
        maxTokens: parseMaxTokens(body, model.contextSize, context),
        maxTokensIsDefault: body.max_tokens === undefined,
        stop: parseStop(body),
        ...(body.stop_token_ids?.length && { stopTokens: body.stop_token_ids }),
      },
      thinking: body.think ?? false,
      ...(body.think === undefined && { thinkingIsDefault: true }),
      ...(output === undefined ? {} : { output }),
      ...(tools === undefined ? {} : { tools }),
      ...(logprobs === undefined ? {} : { logprobs }),
    };
    return {
      requests: [request],
      delivery,
      timeoutMs: body.timeout_ms,
      priority: body.priority,
      renderer: nativeRenderer(request),
    };
  };
}

function parseInput({
  prompt,
  messages,
  system,
  raw,
  continue_final_message: continues = false,
}: GenerateBody): GenerationInput {
  if (prompt !== undefined && messages !== undefined)
    throw invalid('messages', 'prompt and messages are both given, but exactly one of them is allowed.');
  if (messages !== undefined) {
    if (system !== undefined)
      throw invalid(
        'system',
        'system is only allowed with prompt. With messages, make it the first message, with role "system".',
      );
    if (raw) throw invalid('raw', 'raw is only allowed with prompt: messages need the chat template.');
    const conversation = parseConversation(messages);
    if (!continues) return { kind: 'chat', messages: conversation };
    requireAssistantEnd(conversation);
    return { kind: 'chat', messages: conversation, continuesLast: true };
  }
  if (continues)
    throw invalid('continue_final_message', 'continue_final_message is only allowed with messages.');
  if (prompt === undefined)
    throw invalid('prompt', 'prompt is missing. Give prompt (a string) or messages (a list).');
  if (!raw) {
    const user = { role: 'user', content: prompt } as const;
    return {
      kind: 'chat',
      messages: system === undefined ? [user] : [{ role: 'system', content: system }, user],
    };
  }
  if (system !== undefined)
    throw invalid(
      'system',
      'system is not allowed with raw: a raw prompt has no chat template to put it into.',
    );
  return { kind: 'text', prompt };
}

function requireAssistantEnd(messages: readonly Message[]): void {
  const last = messages.at(-1);
  if (last?.role === 'assistant' && last.toolCalls === undefined) return;
  throw invalid(
    'continue_final_message',
    'continue_final_message is true, but the last message is not one with role "assistant" and without tool_calls.',
  );
}

function parseMaxTokens(
  { max_tokens }: GenerateBody,
  contextSize: number | undefined,
  { defaultMaxTokens }: ParseContext,
): number {
  if (max_tokens === undefined) return Math.min(defaultMaxTokens, contextSize ?? defaultMaxTokens);
  if (contextSize === undefined || max_tokens <= contextSize) return max_tokens;
  throw invalid(
    'max_tokens',
    `max_tokens is ${max_tokens}, but must be at most ${contextSize}, the model’s context.`,
  );
}

function parseStop({ stop }: GenerateBody): readonly string[] {
  if (stop === undefined) return [];
  return typeof stop === 'string' ? [stop] : stop;
}

/** Native field → sampling field with the same value. */
const SAMPLING_FIELDS = {
  temperature: 'temperature',
  top_p: 'topP',
  top_k: 'topK',
  min_p: 'minP',
  seed: 'seed',
  presence_penalty: 'presencePenalty',
  frequency_penalty: 'frequencyPenalty',
  repeat_penalty: 'repeatPenalty',
} as const satisfies Partial<Record<keyof GenerateBody, keyof Sampling>>;

const parseSampling: (body: GenerateBody) => Sampling = samplingReader(SAMPLING_FIELDS);

function parseLogprobs({ logprobs, top_logprobs }: GenerateBody): LogprobsOptions | undefined {
  if (logprobs) return { top: top_logprobs ?? 0 };
  if (top_logprobs !== undefined)
    throw invalid('top_logprobs', 'top_logprobs is only allowed with logprobs set to true.');
  return undefined;
}

/** Each constrains the whole text, so only one may be given. */
const FIELDS = ['format', 'grammar', 'regex', 'choice'] as const satisfies readonly (keyof GenerateBody)[];

function parseOutput(body: GenerateBody): OutputFormat | undefined {
  const [field, other] = FIELDS.filter((name) => body[name] !== undefined);
  if (field === undefined) return undefined;
  if (other !== undefined)
    throw invalid(other, `${field} and ${other} are both given, but at most one of them is allowed.`);
  const { format, grammar, regex, choice } = body;
  if (grammar !== undefined) return { kind: 'grammar', grammar };
  if (regex !== undefined) return { kind: 'regex', regex };
  if (choice !== undefined) return { kind: 'choice', choices: choice };
  if (format === 'json') return { kind: 'json' };
  refuseDeepNesting(format, 'format');
  return { kind: 'json-schema', schema: format };
}

/** Fields that belong to one role. */
const FIELDS_OF_ROLES = [
  { field: 'tool_calls', role: 'assistant' },
  { field: 'tool_call_id', role: 'tool' },
] as const;

function parseConversation(messages: readonly MessageBody[]): readonly Message[] {
  const calls = new ToolCallMatcher();
  return messages.map((message, index) => {
    const path = `messages[${index}]`;
    for (const { field, role } of FIELDS_OF_ROLES) {
      if (message[field] !== undefined && message.role !== role)
        throw invalid(`${path}.${field}`, `${path}.${field} is only allowed with role "${role}".`);
    }
    const { role, content } = message;
    if (role === 'tool') {
      const toolCallId = calls.matchMessage(message.tool_call_id, path);
      return { role, content, toolCallId };
    }
    if (role !== 'assistant' || message.tool_calls === undefined) {
      calls.reset();
      return { role, content };
    }
    const callsPath = `${path}.tool_calls`;
    calls.begin(message.tool_calls.map(({ id }, call) => ({ id, idPath: `${callsPath}[${call}].id` })));
    return { role, content, toolCalls: parseCalls(message.tool_calls, callsPath) };
  });
}

function parseCalls(calls: ToolCallList, path: string): readonly ToolCall[] {
  return calls.map(({ id, name, arguments: values }, index) => {
    refuseDeepNesting(values, `${path}[${index}].arguments`);
    return { id, name, arguments: JSON.stringify(values) };
  });
}

function parseTools({ tools, tool_choice, raw }: GenerateBody): ToolUse | undefined {
  if (tools === undefined) {
    if (tool_choice === undefined) return undefined;
    throw invalid('tool_choice', 'tool_choice is only allowed with tools.');
  }
  if (raw)
    throw invalid(
      'tools',
      'tools are not allowed with raw: a raw prompt has no chat template to put them into.',
    );
  const names = new Set<string>();
  for (const [index, tool] of tools.entries()) {
    const path = `tools[${index}]`;
    if (tool.parameters !== undefined) checkParameters(tool.parameters, `${path}.parameters`);
    requireUniqueName(tool.name, path, names);
  }
  return { tools: tools.map(toolOf), choice: parseChoice(tool_choice, names) };
}

function toolOf({ strict, ...tool }: ToolList[number]): Tool {
  return strict ? { ...tool, strict } : tool;
}

function parseChoice(choice: ToolChoiceBody | undefined, names: ReadonlySet<string>): ToolChoice {
  if (choice === undefined) return 'auto';
  if (typeof choice === 'string' || names.has(choice.name)) return choice;
  throw invalid(
    'tool_choice.name',
    `tool_choice.name is ${showValue(choice.name)}, but the tools are ${[...names].join(', ')}.`,
  );
}
