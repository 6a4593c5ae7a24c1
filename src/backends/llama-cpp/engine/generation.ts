/**
 * One generation on one sequence: feeds the prompt in chunks, then takes token after token until an end.
 * Owns its iterator over the sequence; the batcher calls `step()` once per decode step of the whole engine.
 *
 * Counted as completion tokens: every token the model gave, its end-of-generation token included (it is no text).
 */
import { randomInt } from 'node:crypto';
import { StopMatcher, type StopResult } from '../../../core/stop-matcher.ts';
import type { EngineEvent, EngineGeneration } from '../messages.ts';
import type { EvaluateOptions, Model, Sequence, Token, TokenIterator } from './library.ts';
import type { Thought } from './prompt.ts';
import { ReasoningSplitter, type SplitText, THOUGHT_BEGINS, THOUGHT_ENDS } from './reasoning-splitter.ts';
import { TokenDecoder } from './token-decoder.ts';

/** As in llama.cpp: penalties look at the last 64 tokens; here only at those of the answer. */
const PENALIZED_TOKENS = 64;
const LARGEST_SEED = 2 ** 31 - 1;

export interface GenerationOptions {
  readonly order: EngineGeneration;
  readonly prompt: Token[];
  readonly thought: Thought;
  readonly sequence: Sequence;
  readonly model: Model;
  /** Tokens per sequence, prompt and answer together. */
  readonly contextSize: number;
}

type Said = SplitText & StopResult;

export class Generation {
  readonly id: number;
  readonly sequence: Sequence;
  readonly #order: EngineGeneration;
  readonly #prompt: Token[];
  readonly #model: Model;
  readonly #maxTokens: number;
  /** Absent where the model does not think: then tags are text like any other. */
  readonly #splitter: ReasoningSplitter | undefined;
  readonly #stops: StopMatcher;
  readonly #decoder: TokenDecoder;
  readonly #answer: Token[] = [];
  #fed = 0;
  #cachedTokens = 0;
  #iterator: TokenIterator | undefined;
  #ended = false;

  constructor({ order, prompt, thought, sequence, model, contextSize }: GenerationOptions) {
    this.id = order.id;
    this.sequence = sequence;
    this.#order = order;
    this.#prompt = prompt;
    this.#model = model;
    const left = contextSize - prompt.length;
    this.#maxTokens = Math.min(order.limits.maxTokens ?? left, left);
    this.#splitter = thought === 'none' ? undefined : new ReasoningSplitter({ begun: thought === 'begun' });
    this.#stops = new StopMatcher(order.limits.stop);
    this.#decoder = new TokenDecoder(model, prompt);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Prompt tokens still to be evaluated; 0 while the answer is written. */
  get promptTokensLeft(): number {
    return this.#prompt.length - this.#fed;
  }

  /** Keeps of the sequence what the prompt begins with; the last prompt token is always evaluated, for its logits. */
  async prepare(): Promise<EngineEvent> {
    await this.sequence.adaptStateToTokens(this.#prompt.slice(0, -1), false);
    this.#fed = this.sequence.nextTokenIndex;
    this.#cachedTokens = this.#fed;
    return {
      type: 'start',
      id: this.id,
      promptTokens: this.#prompt.length,
      cachedTokens: this.#cachedTokens,
    };
  }

  /** One decode step: at most `promptTokens` of the prompt, or the next token of the answer. */
  async step(promptTokens: number): Promise<readonly EngineEvent[]> {
    if (this.promptTokensLeft > 0) {
      const chunk = this.#prompt.slice(this.#fed, this.#fed + promptTokens);
      this.#fed += chunk.length;
      if (this.promptTokensLeft > 0) {
        await this.sequence.evaluateWithoutGeneratingNewTokens(chunk);
        return [];
      }
      this.#iterator = this.sequence.evaluateWithMetadata(chunk, {}, this.#evaluateOptions());
    }
    const result = await this.#iterator?.next();
    if (!result || result.done) throw new Error('The engine gave no token.');
    return this.#accept(result.value.token);
  }

  /** Lets go of the sequence, wherever the generation is; not while a step is under way. */
  async release(): Promise<void> {
    this.#ended = true;
    await this.#iterator?.return();
    this.#iterator = undefined;
  }

  #accept(token: Token): readonly EngineEvent[] {
    this.#answer.push(token);
    if (this.#model.isEogToken(token)) return this.#finish('stop', this.#rest());
    const text = this.#textOf(token);
    const said = this.#untilStop(this.#splitter?.push(text) ?? { reasoning: '', text });
    if (said.matched !== undefined) return this.#finish('stop', said);
    if (this.#answer.length < this.#maxTokens) return this.#tell(said);
    const rest = this.#rest();
    return this.#finish('length', {
      ...rest,
      reasoning: said.reasoning + rest.reasoning,
      text: said.text + rest.text,
    });
  }

  /** Some models have the tags of a thought as special tokens, which are no text otherwise. */
  #textOf(token: Token): string {
    const text = this.#decoder.push(token);
    if (text !== '' || this.#splitter === undefined || this.#splitter.inAnswer) return text;
    if (!this.#model.getTokenAttributes(token).control) return text;
    const special = this.#model.detokenize([token], true);
    return special === THOUGHT_BEGINS || special === THOUGHT_ENDS ? special : text;
  }

  /** Stop strings end the answer, not the thought before it. */
  #untilStop({ reasoning, text }: SplitText): Said {
    return { reasoning, ...this.#stops.push(text) };
  }

  /** What was held back, at the end. */
  #rest(): Said {
    const said = this.#untilStop(this.#splitter?.flush() ?? { reasoning: '', text: '' });
    return said.matched === undefined ? { ...said, text: said.text + this.#stops.flush() } : said;
  }

  #finish(cause: 'stop' | 'length', last: Said): readonly EngineEvent[] {
    this.#ended = true;
    const { matched } = last;
    const reason = matched === undefined ? cause : 'stop';
    const usage = {
      promptTokens: this.#prompt.length,
      completionTokens: this.#answer.length,
      cachedTokens: this.#cachedTokens,
    };
    const end = { type: 'finish', id: this.id, reason, usage } as const;
    return [...this.#tell(last), matched === undefined ? end : { ...end, matchedStop: matched }];
  }

  #tell({ reasoning, text }: SplitText): readonly EngineEvent[] {
    const events: EngineEvent[] = [];
    if (reasoning !== '') events.push({ type: 'reasoning', id: this.id, text: reasoning });
    if (text !== '') events.push({ type: 'text', id: this.id, text });
    return events;
  }

  #evaluateOptions(): EvaluateOptions {
    const { temperature, topP, topK, minP, seed, repeatPenalty, presencePenalty, frequencyPenalty } =
      this.#order.sampling;
    const penalizes = repeatPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
    const punishTokens = () => this.#answer.slice(-PENALIZED_TOKENS);
    return {
      temperature,
      topP,
      topK,
      minP,
      // The library would take the current second, the same for all requests of that second.
      seed: seed ?? randomInt(LARGEST_SEED),
      yieldEogToken: true,
      ...(penalizes && {
        repeatPenalty: { punishTokens, penalty: repeatPenalty, presencePenalty, frequencyPenalty },
      }),
    };
  }
}
