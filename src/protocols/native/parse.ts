/** A native body becomes a GenerationRequest. Strict: an unknown field, a wrong type or a contradiction is a 400 that names it. */
import type { GenerationInput, GenerationRequest, Message } from '../../core/generation.ts';
import { bodyReader } from '../checked-body.ts';
import type { ParseContext, ParsedGeneration } from '../generation-route.ts';
import { invalid } from '../invalid.ts';
import { parseConversation } from './conversation.ts';
import { parseOutput } from './output-format.ts';
import { nativeRenderer } from './render.ts';
import { parseLogprobs, parseSampling } from './sampling.ts';
import { GenerateBody } from './schema.ts';
import { parseTools } from './tools.ts';

const read = bodyReader<GenerateBody>(GenerateBody);

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
    refuseOtherEnd(conversation);
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

function refuseOtherEnd(messages: readonly Message[]): void {
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
