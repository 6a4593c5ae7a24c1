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

export class EventFold {
  #text = '';
  #reasoning = '';
  readonly #calls: { id: string; name: string; arguments: string }[] = [];
  readonly #logprobs: TokenLogprob[] = [];

  /** The result comes with `finish`. */
  add(event: GenerationEvent): GenerationResult | undefined {
    switch (event.type) {
      case 'start':
        return undefined;
      case 'text':
        this.#text += event.text;
        if (event.logprobs) this.#logprobs.push(...event.logprobs);
        return undefined;
      case 'reasoning':
        this.#reasoning += event.text;
        return undefined;
      case 'tool-call':
        this.#calls[event.index] = { id: event.id, name: event.name, arguments: '' };
        return undefined;
      case 'tool-arguments': {
        const call = this.#calls[event.index];
        if (call) call.arguments += event.delta;
        return undefined;
      }
      case 'finish':
        return {
          text: this.#text,
          reasoning: this.#reasoning,
          toolCalls: this.#calls,
          logprobs: this.#logprobs,
          finishReason: event.reason,
          ...(event.matchedStop !== undefined && { matchedStop: event.matchedStop }),
          usage: event.usage,
        };
      default:
        throw event satisfies never;
    }
  }
}
