/** Answers in one piece, in the shapes recorded from vLLM 0.32.0 and llama-server. */
import type { PlayedCall } from './openai-forms.ts';
import { recordedJson } from './recording.ts';
import type { ModelAnswer } from './stand-in-model.ts';
import type { Reply } from './stand-in-server.ts';

export interface PlayedWhole {
  readonly server: 'vllm' | 'llama-server' | 'generic';
  readonly model: string;
  readonly chat: boolean;
  readonly answered: ModelAnswer;
  readonly calls: readonly PlayedCall[];
  readonly thought: Readonly<Record<string, string>>;
  readonly withoutUsage: boolean;
}

export function wholeReply({
  server,
  model,
  chat,
  answered,
  calls,
  thought,
  withoutUsage,
}: PlayedWhole): Reply {
  // Raw prompts of llama-server were recorded as a stream alone.
  const recorded =
    chat && server === 'llama-server' ? 'llama-server/chat' : chat ? 'vllm/chat' : 'vllm/completion';
  const { choices, usage: _, timings: __, ...rest } = recordedJson(recorded);
  const [choice = {}] = choices as Record<string, unknown>[];
  const text = answered.tokens.join('');
  const tool_calls = calls.map(({ id, name, arguments: values }) => ({
    id,
    type: 'function',
    function: { name, arguments: values },
  }));
  const message = {
    ...(choice.message as object),
    ...thought,
    content: calls.length > 0 ? null : text,
    ...(calls.length > 0 && { tool_calls }),
  };
  const ending = {
    finish_reason: calls.length > 0 ? 'tool_calls' : answered.reason,
    ...(server === 'vllm' && { stop_reason: answered.matchedStop ?? null }),
  };
  const usage = {
    prompt_tokens: answered.promptTokens,
    completion_tokens: answered.generated,
    total_tokens: answered.promptTokens + answered.generated,
  };
  return {
    status: 200,
    body: JSON.stringify({
      ...rest,
      model,
      choices: [{ ...choice, ...(chat ? { message } : { text }), ...ending }],
      ...(!withoutUsage && { usage }),
    }),
  };
}
