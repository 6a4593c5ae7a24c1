/**
 * One generation on one sequence: what is to be evaluated for it next, and the events that follow from each token that
 * was chosen. Owns its progress; the batcher evaluates and samples.
 *
 * Completion tokens are all tokens that the model gave, its end-of-generation token included (which is no text).
 */
import type { GenerationEvent, TokenLogprob } from '../../../core/generation.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import type { ActiveGrammar, AdmittedRequest } from './admission.ts';
import { AnswerText } from './answer-text.ts';
import type { GrammarWatch } from './grammar-watch.ts';
import type { GrammarState, Model, Token } from './library.ts';
import type { Chunk, Sequence } from './sequences.ts';

export interface GenerationOptions {
  readonly admitted: AdmittedRequest;
  /** Holds the beginning of the prompt, or nothing: what it holds is not evaluated again. */
  readonly sequence: Sequence;
  readonly model: Model;
  /** Tokens per sequence, prompt and answer together. */
  readonly contextSize: number;
}

export class Generation {
  readonly id: number;
  readonly request: EngineGenerationRequest;
  readonly sequence: Sequence;
  /** What is evaluated before a token is chosen: the prompt, and what the answer begins with. */
  readonly #prompt: readonly Token[];
  readonly #promptLength: number;
  readonly #model: Model;
  #grammar: (() => ActiveGrammar) | undefined;
  #watch: GrammarWatch | undefined;
  readonly #maxTokens: number;
  readonly #text: AnswerText;
  readonly #cachedTokens: number;
  #evaluatedPromptTokens: number;
  #answerTokens = 0;
  /** Chosen since the last event; absent where nobody wants them. */
  #unreported: Token[] | undefined;
  #reasoningTokens = 0;
  /** Chosen, not evaluated yet. */
  #next: Token | undefined;
  #ended = false;

  constructor({ admitted, sequence, model, contextSize }: GenerationOptions) {
    const { request, prompt, grammar } = admitted;
    const { tokens, ...answer } = prompt;
    this.id = request.id;
    this.request = request;
    this.sequence = sequence;
    this.#prompt = tokens;
    this.#promptLength = tokens.length - (request.begunWith?.length ?? 0);
    this.#unreported = request.reportsTokens ? [] : undefined;
    this.#model = model;
    this.#grammar = grammar;
    const left = contextSize - this.#promptLength;
    this.#maxTokens = Math.min(request.limits.maxTokens ?? left, left);
    this.#text = new AnswerText({
      ...answer,
      model,
      prompt: tokens.slice(0, this.#promptLength),
      stop: request.limits.stop,
      toolNames: request.tools?.tools.map(({ name }) => name) ?? [],
      singleCall: request.tools?.single === true,
      callsOrText: request.grammarField !== undefined,
    });
    this.#cachedTokens = sequence.length;
    this.#evaluatedPromptTokens = sequence.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Prompt tokens still to be evaluated; 0 while the answer is written. */
  get promptTokensLeft(): number {
    return this.#prompt.length - this.#evaluatedPromptTokens;
  }

  /** With the events of the tokens that the answer begins with. */
  start(): readonly GenerationEvent[] {
    const events: GenerationEvent[] = [
      { type: 'start', promptTokens: this.#promptLength, cachedTokens: this.#cachedTokens },
    ];
    for (const token of this.#prompt.slice(this.#promptLength)) {
      this.#answerTokens += 1;
      events.push(...this.#text.push(token, { last: false }));
      if (this.#text.inReasoning) this.#reasoningTokens += 1;
    }
    return events;
  }

  /** Those since the last call, which was for the last event. */
  takeTokens(): readonly Token[] | undefined {
    const tokens = this.#unreported;
    if (tokens === undefined || tokens.length === 0) return undefined;
    this.#unreported = [];
    return tokens;
  }

  /** For the next step: at most `promptTokens` of the prompt, or the last token of the answer. */
  nextChunk(promptTokens: number): Chunk {
    const { sequence } = this;
    if (this.#next !== undefined) return { sequence, tokens: [this.#next], samples: true };
    const from = this.#evaluatedPromptTokens;
    const tokens = this.#prompt.slice(from, from + promptTokens);
    this.#evaluatedPromptTokens += tokens.length;
    return { sequence, tokens, samples: this.promptTokensLeft === 0 };
  }

  /** The grammar that the tokens from here on have to follow; given once. It does not constrain reasoning. */
  takeGrammar(): GrammarState | undefined {
    if (this.#grammar === undefined || this.#text.inPromptedReasoning) return undefined;
    const { state, watch } = this.#grammar();
    this.#grammar = undefined;
    this.#watch = watch;
    return state;
  }

  /** Of the grammar that constrains the answer now. */
  get watch(): GrammarWatch | undefined {
    return this.#watch;
  }

  /** The token that follows has been chosen. */
  accept(token: Token, logprob?: TokenLogprob): readonly GenerationEvent[] {
    this.#answerTokens += 1;
    this.#next = token;
    this.#unreported?.push(token);
    if (this.#model.isEogToken(token) || this.#isStop(token)) return this.#finish('stop', this.#text.end());
    const last = this.#answerTokens >= this.#maxTokens;
    const events = this.#text.push(token, { logprob, last });
    if (this.#text.inReasoning) this.#reasoningTokens += 1;
    if (this.#text.ended) return this.#finish('stop', events);
    return last ? this.#finish('length', events) : events;
  }

  /** A stop token is not part of the text. */
  #isStop(token: Token): boolean {
    const { stopTokens = [], minTokens = 0 } = this.request.limits;
    return this.#answerTokens >= minTokens && stopTokens.includes(token);
  }

  /** Ends it without another event. */
  abandon(): void {
    this.#ended = true;
  }

  #finish(cause: 'stop' | 'length', events: readonly GenerationEvent[]): readonly GenerationEvent[] {
    this.#ended = true;
    const usage = {
      promptTokens: this.#promptLength,
      completionTokens: this.#answerTokens,
      ...(this.#reasoningTokens > 0 && { reasoningTokens: this.#reasoningTokens }),
      cachedTokens: this.#cachedTokens,
    };
    const reason = this.#text.finishReason(cause);
    const end = { type: 'finish', reason, usage } as const;
    const { matchedStop } = this.#text;
    return [...events, matchedStop === undefined ? end : { ...end, matchedStop }];
  }
}
