/**
 * From the tokens of one answer to what is said of them: decoded, thoughts told from text, cut before a stop string.
 * Owns what is held back: parts of characters, of tags, of stop strings, and the log-probabilities of tokens whose text
 * has not left yet.
 */
import type { TokenLogprob } from '../../../core/generation.ts';
import { StopMatcher } from '../../../core/stop-matcher.ts';
import type { EngineEvent } from '../messages.ts';
import type { Model, Token } from './library.ts';
import type { Thought } from './prompt.ts';
import { ReasoningSplitter, type SplitText, THOUGHT_BEGINS, THOUGHT_ENDS } from './reasoning-splitter.ts';
import { TokenDecoder } from './token-decoder.ts';

export interface AnswerTextOptions {
  readonly id: number;
  readonly model: Model;
  readonly prompt: readonly Token[];
  readonly thought: Thought;
  readonly stop: readonly string[];
}

export interface Said {
  readonly events: readonly EngineEvent[];
  /** The stop string that ends the answer. */
  readonly matchedStop: string | undefined;
}

export class AnswerText {
  readonly #id: number;
  readonly #model: Model;
  readonly #decoder: TokenDecoder;
  /** Absent where the model does not think: then tags are text like any other. */
  readonly #splitter: ReasoningSplitter | undefined;
  readonly #stops: StopMatcher;
  #logprobs: TokenLogprob[] = [];

  constructor({ id, model, prompt, thought, stop }: AnswerTextOptions) {
    this.#id = id;
    this.#model = model;
    this.#decoder = new TokenDecoder(model, prompt);
    this.#splitter = thought === 'none' ? undefined : new ReasoningSplitter({ begun: thought === 'begun' });
    this.#stops = new StopMatcher(stop);
  }

  push(token: Token, logprob: TokenLogprob | undefined): Said {
    if (logprob !== undefined) this.#logprobs.push(logprob);
    const text = this.#textOf(token);
    return this.#say(this.#splitter?.push(text) ?? { reasoning: '', text }, false);
  }

  /** What was held back. */
  end(): Said {
    return this.#say(this.#splitter?.flush() ?? { reasoning: '', text: '' }, true);
  }

  /** Stop strings end the answer, not the thought before it. */
  #say({ reasoning, text }: SplitText, isEnd: boolean): Said {
    const events: EngineEvent[] = [];
    if (reasoning !== '') {
      events.push({ type: 'reasoning', id: this.#id, text: reasoning });
      this.#logprobs = [];
    }
    const { text: free, matched } = this.#stops.push(text);
    const told = isEnd && matched === undefined ? free + this.#stops.flush() : free;
    if (told !== '') events.push(this.#tell(told));
    return { events, matchedStop: matched };
  }

  #tell(text: string): EngineEvent {
    if (this.#logprobs.length === 0) return { type: 'text', id: this.#id, text };
    const logprobs = this.#logprobs;
    this.#logprobs = [];
    return { type: 'text', id: this.#id, text, logprobs };
  }

  /** Some models have the tags of a thought as special tokens, which are no text otherwise. */
  #textOf(token: Token): string {
    const text = this.#decoder.push(token);
    if (text !== '' || this.#splitter === undefined || this.#splitter.inAnswer) return text;
    if (!this.#model.getTokenAttributes(token).control) return text;
    const special = this.#model.detokenize([token], true);
    return special === THOUGHT_BEGINS || special === THOUGHT_ENDS ? special : text;
  }
}
