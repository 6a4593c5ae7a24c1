/**
 * One generation on one sequence: what it wants evaluated next, and what follows from each token that was chosen.
 * Owns how far it is; the batcher evaluates and samples.
 *
 * Counted as completion tokens: every token the model gave, its end-of-generation token included (it is no text).
 */
import type { GenerationEvent, TokenLogprob } from '../../../core/generation.ts';
import type { EngineGenerationRequest } from '../messages.ts';
import type { ActiveGrammar } from './admission.ts';
import { AnswerText, type Said } from './answer-text.ts';
import type { GrammarWatch } from './grammar-watch.ts';
import type { Model, Token } from './library.ts';
import type { GrammarState } from './native.ts';
import type { EncodedPrompt } from './prompt.ts';
import type { Chunk, Sequence } from './sequences.ts';

export interface GenerationOptions {
  readonly order: EngineGenerationRequest;
  readonly prompt: EncodedPrompt;
  readonly sequence: Sequence;
  readonly model: Model;
  readonly grammar: (() => ActiveGrammar) | undefined;
  /** Tokens per sequence, prompt and answer together. */
  readonly contextSize: number;
}

export class Generation {
  readonly id: number;
  readonly order: EngineGenerationRequest;
  readonly sequence: Sequence;
  readonly #prompt: readonly Token[];
  readonly #model: Model;
  #grammar: (() => ActiveGrammar) | undefined;
  #watch: GrammarWatch | undefined;
  readonly #maxTokens: number;
  readonly #text: AnswerText;
  readonly #cachedTokens: number;
  #fed: number;
  #answerTokens = 0;
  #thoughtTokens = 0;
  /** Chosen, not evaluated yet. */
  #next: Token | undefined;
  #ended = false;

  /** The sequence holds the beginning of the prompt, or nothing: that need not be evaluated again. */
  constructor({ order, prompt, sequence, model, grammar, contextSize }: GenerationOptions) {
    const { tokens, ...answer } = prompt;
    this.id = order.id;
    this.order = order;
    this.sequence = sequence;
    this.#prompt = tokens;
    this.#model = model;
    this.#grammar = grammar;
    const left = contextSize - tokens.length;
    this.#maxTokens = Math.min(order.limits.maxTokens ?? left, left);
    const toolNames = order.tools?.tools.map(({ name }) => name) ?? [];
    const reading = {
      stop: order.limits.stop,
      toolNames,
      singleCall: order.tools?.single === true,
      callsOrText: order.grammarField !== undefined,
    };
    this.#text = new AnswerText({ ...answer, ...reading, model, prompt: tokens });
    this.#cachedTokens = sequence.length;
    this.#fed = sequence.length;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Prompt tokens still to be evaluated; 0 while the answer is written. */
  get promptTokensLeft(): number {
    return this.#prompt.length - this.#fed;
  }

  start(): GenerationEvent {
    return { type: 'start', promptTokens: this.#prompt.length, cachedTokens: this.#cachedTokens };
  }

  /** For the next step: at most `promptTokens` of the prompt, or the last token of the answer. */
  nextChunk(promptTokens: number): Chunk {
    const { sequence } = this;
    if (this.#next !== undefined) return { sequence, tokens: [this.#next], samples: true };
    const tokens = this.#prompt.slice(this.#fed, this.#fed + promptTokens);
    this.#fed += tokens.length;
    return { sequence, tokens, samples: this.promptTokensLeft === 0 };
  }

  /** What the tokens from here on have to follow, once; a thought comes before it. */
  takeGrammar(): GrammarState | undefined {
    if (this.#grammar === undefined || this.#text.inOpenedThought) return undefined;
    const { state, watch } = this.#grammar();
    this.#grammar = undefined;
    this.#watch = watch;
    return state;
  }

  /** Of the grammar that holds the answer now. */
  get watch(): GrammarWatch | undefined {
    return this.#watch;
  }

  /** The token that follows has been chosen. */
  accept(token: Token, logprob?: TokenLogprob): readonly GenerationEvent[] {
    this.#answerTokens += 1;
    this.#next = token;
    if (this.#model.isEogToken(token) || this.#isStop(token)) return this.#finish('stop', this.#text.end());
    const last = this.#answerTokens >= this.#maxTokens;
    const said = this.#text.push(token, { logprob, last });
    if (this.#text.inThought) this.#thoughtTokens += 1;
    if (said.ended) return this.#finish('stop', said);
    return last ? this.#finish('length', said) : said.events;
  }

  /** It is no part of the text. */
  #isStop(token: Token): boolean {
    const { stopTokens = [], minTokens = 0 } = this.order.limits;
    return this.#answerTokens >= minTokens && stopTokens.includes(token);
  }

  /** Nothing more is wanted of it. */
  leave(): void {
    this.#ended = true;
  }

  #finish(cause: 'stop' | 'length', { events, matchedStop }: Said): readonly GenerationEvent[] {
    this.#ended = true;
    const usage = {
      promptTokens: this.#prompt.length,
      completionTokens: this.#answerTokens,
      ...(this.#thoughtTokens > 0 && { reasoningTokens: this.#thoughtTokens }),
      cachedTokens: this.#cachedTokens,
    };
    const reason = this.#text.finishReason(cause);
    const end = { type: 'finish', reason, usage } as const;
    return [...events, matchedStop === undefined ? end : { ...end, matchedStop }];
  }
}
