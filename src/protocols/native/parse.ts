/** A native body becomes a GenerationRequest. Strict: an unknown field, a wrong type or a contradiction is a 400 that names it. */
import { ServingError } from '../../core/errors.ts';
import type { GenerationInput, GenerationRequest } from '../../core/generation.ts';
import { compileCheck, describeViolation } from '../../schema/violation.ts';
import type { ParseContext, ParsedGeneration } from '../generation-route.ts';
import { parseConversation } from './conversation.ts';
import { invalid } from './invalid.ts';
import { parseOutput } from './output-format.ts';
import { parseLogprobs, parseSampling } from './sampling.ts';
import { GenerateBody } from './schema.ts';
import { parseTools } from './tools.ts';

const check = compileCheck<GenerateBody>(GenerateBody);

export function parseGenerate(delivery: ParsedGeneration['delivery']) {
  return (raw: unknown, context: ParseContext): ParsedGeneration => {
    const checked = check(raw);
    if ('violation' in checked) {
      const { path } = checked.violation;
      const param = path === '' ? {} : { param: path };
      throw new ServingError('invalid_request', {
        message: describeViolation(checked.violation, 'The body'),
        ...param,
      });
    }
    const body = checked.value;
    const input = parseInput(body);
    const tools = parseTools(body);
    const output = parseOutput(body, tools);
    const logprobs = parseLogprobs(body);
    const model = body.model ?? context.defaultModel;
    const { contextSize } = context.requireModel(model);
    const request: GenerationRequest = {
      id: context.requestId,
      model,
      input,
      sampling: parseSampling(body),
      limits: {
        maxTokens: parseMaxTokens(body, contextSize, context),
        maxTokensIsDefault: body.max_tokens === undefined,
        stop: parseStop(body),
      },
      thinking: body.think ?? false,
      ...(output === undefined ? {} : { output }),
      ...(tools === undefined ? {} : { tools }),
      ...(logprobs === undefined ? {} : { logprobs }),
    };
    return { request, delivery, timeoutMs: body.timeout_ms, priority: body.priority };
  };
}

function parseInput({ prompt, messages, system, raw }: GenerateBody): GenerationInput {
  if (prompt !== undefined && messages !== undefined)
    throw invalid('messages', 'prompt and messages are both given, but exactly one of them is allowed.');
  if (messages !== undefined) {
    if (system !== undefined)
      throw invalid(
        'system',
        'system is only allowed with prompt. With messages, make it the first message, with role "system".',
      );
    if (raw) throw invalid('raw', 'raw is only allowed with prompt: messages need the chat template.');
    return { kind: 'chat', messages: parseConversation(messages) };
  }
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
