/** The bodies of /v1/messages and of its count_tokens become a GenerationRequest, and the part of one that is a prompt. */
import type {
  GenerationInput,
  GenerationRequest,
  Message,
  Sampling,
  ThinkingWish,
  ToolUse,
} from '../../core/generation.ts';
import type { ParseContext, ParsedGeneration } from '../generation-route.ts';
import { invalid } from '../invalid.ts';
import { lenientReader } from '../lenient-body.ts';
import { serverBlocksIn } from './content.ts';
import { parseConversation } from './conversation.ts';
import { parseExtras, refuseOtherServices } from './other-fields.ts';
import { parseOutput, parseThinking } from './output-format.ts';
import { messageRenderer } from './render.ts';
import { CheckedCount, CheckedMessages, type ConversationBody, type MessagesBody } from './schema.ts';
import { parseTools } from './tools.ts';

const readMessages = lenientReader(CheckedMessages);
const readCount = lenientReader(CheckedCount);

export function parseMessages(raw: unknown, context: ParseContext): ParsedGeneration {
  const body = readMessages(raw, '');
  refuseOtherServices(body);
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
    renderer: messageRenderer(request, { hidesThoughts: thinking.omitted }),
  };
}

export interface Prompt {
  readonly input: Extract<GenerationInput, { readonly kind: 'chat' }>;
  readonly tools: ToolUse | undefined;
  /** What was not taken, as X-Dropped-Parameters names it. */
  readonly dropped: readonly string[];
}

export interface CountedPrompt extends Prompt {
  /** Absent: the default model. */
  readonly model: string | undefined;
  /** Templates write a prompt by it. */
  readonly thinking: ThinkingWish | undefined;
}

/** All but the settings of the answer; what they would refuse is refused all the same. */
export function parseCount(raw: unknown): CountedPrompt {
  const body = readCount(raw, '');
  refuseOtherServices(body);
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
