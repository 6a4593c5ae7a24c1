/**
 * One generation on one sequence: feeds the prompt in chunks, then takes token after token until an end.
 * Owns its iterator over the sequence; the batcher calls `step()` once per decode step of the whole engine.
 *
 * Counted as completion tokens: every token the model gave, its end-of-generation token included (it is no text).
 */
import { randomInt, randomUUID } from 'node:crypto';
import type { EngineEvent, EngineGeneration } from '../messages.ts';
import { AnswerReader, type Reading } from './answer-reader.ts';
import type { EvaluateOptions, Model, Sequence, Token, TokenIterator } from './library.ts';
import type { EncodedPrompt } from './prompt.ts';
import { TokenDecoder } from './token-decoder.ts';
import type { AnswerPart } from './tools/answer-parts.ts';

/** As in llama.cpp: penalties look at the last 64 tokens; here only at those of the answer. */
const PENALIZED_TOKENS = 64;
const LARGEST_SEED = 2 ** 31 - 1;

export interface GenerationOptions extends Omit<EncodedPrompt, 'tokens'> {
  readonly order: EngineGeneration;
  readonly prompt: Token[];
  readonly sequence: Sequence;
  readonly model: Model;
  /** Tokens per sequence, prompt and answer together. */
  readonly contextSize: number;
}

export class Generation {
  readonly id: number;
  readonly sequence: Sequence;
  readonly #order: EngineGeneration;
  readonly #prompt: Token[];
  readonly #model: Model;
  readonly #maxTokens: number;
  readonly #reader: AnswerReader;
  readonly #decoder: TokenDecoder;
  readonly #answer: Token[] = [];
  #fed = 0;
  #cachedTokens = 0;
  #iterator: TokenIterator | undefined;
  #ended = false;

  constructor({ order, prompt, sequence, model, contextSize, ...answer }: GenerationOptions) {
    this.id = order.id;
    this.sequence = sequence;
    this.#order = order;
    this.#prompt = prompt;
    this.#model = model;
    const left = contextSize - prompt.length;
    this.#maxTokens = Math.min(order.limits.maxTokens ?? left, left);
    const toolNames = order.tools?.tools.map(({ name }) => name) ?? [];
    this.#reader = new AnswerReader({ ...answer, stop: order.limits.stop, toolNames });
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
    if (this.#model.isEogToken(token)) return this.#finish('stop', this.#reader.read('', { last: true }));
    const last = this.#answer.length >= this.#maxTokens;
    const reading = this.#reader.read(this.#textOf(token), { last });
    if (reading.matchedStop !== undefined) return this.#finish('stop', reading);
    return last ? this.#finish('length', reading) : this.#tell(reading);
  }

  #textOf(token: Token): string {
    const text = this.#decoder.push(token);
    if (text !== '' || !this.#model.getTokenAttributes(token).control) return text;
    const special = this.#model.detokenize([token], true);
    return this.#reader.isMark(special) ? special : text;
  }

  #finish(cause: 'stop' | 'length', last: Reading): readonly EngineEvent[] {
    this.#ended = true;
    const { matchedStop } = last;
    const usage = {
      promptTokens: this.#prompt.length,
      completionTokens: this.#answer.length,
      cachedTokens: this.#cachedTokens,
    };
    const end = { type: 'finish', id: this.id, reason: this.#reader.finishReason(cause), usage } as const;
    return [...this.#tell(last), matchedStop === undefined ? end : { ...end, matchedStop }];
  }

  #tell({ reasoning, parts }: Reading): readonly EngineEvent[] {
    const events = parts.flatMap((part) => this.#toEvents(part));
    return reasoning === '' ? events : [{ type: 'reasoning', id: this.id, text: reasoning }, ...events];
  }

  #toEvents(part: AnswerPart): readonly EngineEvent[] {
    const { id } = this;
    switch (part.type) {
      case 'text':
        return [{ type: 'text', id, text: part.text }];
      case 'call':
        return [{ type: 'tool-call', id, index: part.index, callId: newCallId(), name: part.name }];
      case 'arguments':
        return [{ type: 'tool-arguments', id, index: part.index, delta: part.delta }];
      case 'complete':
        return [];
      default:
        return part satisfies never;
    }
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

function newCallId(): string {
  return `call_${randomUUID().replaceAll('-', '')}`;
}
