/** A whole generation: the same events, folded. */
import type { FinishReason, GenerationEvent, TokenLogprob, ToolCall } from './generation.ts';
import type { Usage } from './usage.ts';

export interface GenerationResult {
  readonly text: string;
  /** Empty when the model did not think. */
  readonly reasoning: string;
  readonly toolCalls: readonly ToolCall[];
  /** Of all tokens of the text; empty where they were not asked for. */
  readonly logprobs: readonly TokenLogprob[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it, where one did and the backend says which. */
  readonly matchedStop?: string;
  readonly usage: Usage;
}

/** Throws what the events throw; a stream that ends without `finish` is an error of its producer. */
export async function foldEvents(events: AsyncIterable<GenerationEvent>): Promise<GenerationResult> {
  let text = '';
  let reasoning = '';
  const calls: { id: string; name: string; arguments: string }[] = [];
  const logprobs: TokenLogprob[] = [];
  for await (const event of events) {
    switch (event.type) {
      case 'start':
        break;
      case 'text':
        text += event.text;
        if (event.logprobs) logprobs.push(...event.logprobs);
        break;
      case 'reasoning':
        reasoning += event.text;
        break;
      case 'tool-call':
        calls[event.index] = { id: event.id, name: event.name, arguments: '' };
        break;
      case 'tool-arguments': {
        const call = calls[event.index];
        if (call) call.arguments += event.delta;
        break;
      }
      case 'finish':
        return {
          text,
          reasoning,
          toolCalls: calls,
          logprobs,
          finishReason: event.reason,
          ...(event.matchedStop !== undefined && { matchedStop: event.matchedStop }),
          usage: event.usage,
        };
      default:
        event satisfies never;
    }
  }
  throw new Error('the events ended without a finish');
}
