/**
 * The text of one scripted answer, on its way out: what may still become a stop string is held back. Owned by one
 * generation. Log-probabilities wait with the text of their tokens and come with the next that is let out.
 */
import type { GenerationSink } from '../../core/backend.ts';
import type { GenerationRequest, TokenLogprob } from '../../core/generation.ts';
import { StopMatcher } from '../../core/stop-matcher.ts';
import { logprobOf } from './logprobs.ts';

export class Speech {
  readonly #sink: Pick<GenerationSink, 'event'>;
  readonly #stops: StopMatcher;
  readonly #top: number | undefined;
  #logprobs: TokenLogprob[] = [];

  constructor({ limits, logprobs }: GenerationRequest, sink: Pick<GenerationSink, 'event'>) {
    this.#sink = sink;
    this.#stops = new StopMatcher(limits.stop);
    this.#top = logprobs?.top;
  }

  /** The stop string that ends the answer with this word, if one does. */
  say(word: string): string | undefined {
    if (this.#top !== undefined) this.#logprobs.push(logprobOf(word, this.#top));
    const { text, matched } = this.#stops.push(word);
    this.#letOut(text);
    return matched;
  }

  /** Nothing follows that could complete a stop string. */
  end(): void {
    this.#letOut(this.#stops.flush());
  }

  #letOut(text: string): void {
    if (text === '') return;
    if (this.#top === undefined) {
      this.#sink.event({ type: 'text', text });
      return;
    }
    this.#sink.event({ type: 'text', text, logprobs: this.#logprobs });
    this.#logprobs = [];
  }
}
