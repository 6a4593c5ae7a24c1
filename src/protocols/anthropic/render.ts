/** A whole message. */
import type { GenerationRequest, ToolCall } from '../../core/generation.ts';
import type { GenerationResult } from '../../core/generation-result.ts';
import type { AnswerRenderer } from '../generation-route.ts';
import { objectIn } from '../object-in.ts';
import type { ContentBlock, MessageAnswer } from './answer-schema.ts';
import { type AnswerSettings, messageHead, renderMessageUsage, renderStop } from './message-parts.ts';
import { messageStream } from './message-stream.ts';

export function messageRenderer(request: GenerationRequest, settings: AnswerSettings): AnswerRenderer {
  return {
    whole: ([result]) => renderWhole(request, settings, result as GenerationResult),
    stream: () => messageStream(request, settings),
  };
}

function renderWhole(
  request: GenerationRequest,
  { hidesThoughts }: AnswerSettings,
  { text, reasoning, toolCalls, finishReason, matchedStop, usage }: GenerationResult,
): MessageAnswer {
  const content: ContentBlock[] = toolCalls.map(renderCall);
  if (text !== '') content.unshift({ type: 'text', text });
  if (reasoning !== '')
    content.unshift({ type: 'thinking', thinking: hidesThoughts ? '' : reasoning, signature: '' });
  return Object.assign(messageHead(request), { content }, renderStop(finishReason, matchedStop), {
    usage: renderMessageUsage(usage),
  });
}

/** Nothing of what the model wrote is lost, and no call is made up: what was cut off is no object of arguments. */
function renderCall({ id, name, arguments: text }: ToolCall): ContentBlock {
  const input = text === '' ? {} : (objectIn(text) ?? { arguments_text: text });
  return { type: 'tool_use', id, name, input };
}
