/**
 * From the tokens of one answer to what is told of them: decoded, read, and as events. Owns parts of characters that
 * are not complete, and the log-probabilities of tokens whose text has not left yet.
 */
import { randomUUID } from 'node:crypto';
import type { FinishReason, GenerationEvent, TokenLogprob } from '../../../core/generation.ts';
import { AnswerReader, type AnswerReaderOptions, type Reading } from './answer-reader.ts';
import type { Model, Token } from './library.ts';
import { TokenDecoder } from './token-decoder.ts';
import type { AnswerPart } from './tools/answer-parts.ts';

export interface AnswerTextOptions extends AnswerReaderOptions {
  readonly model: Model;
  readonly prompt: readonly Token[];
}

export interface Said {
  readonly events: readonly GenerationEvent[];
  /** The answer ends with it, whatever the model would go on with. */
  readonly ended: boolean;
  /** The stop string that ends it. */
  readonly matchedStop?: string;
}

export class AnswerText {
  readonly #model: Model;
  readonly #decoder: TokenDecoder;
  readonly #reader: AnswerReader;
  #logprobs: TokenLogprob[] = [];

  constructor({ model, prompt, ...reading }: AnswerTextOptions) {
    this.#model = model;
    this.#decoder = new TokenDecoder(model, prompt);
    this.#reader = new AnswerReader(reading);
  }

  get inOpenedThought(): boolean {
    return this.#reader.inOpenedThought;
  }

  get inThought(): boolean {
    return this.#reader.inThought;
  }

  /** `last`: the answer ends with this token. */
  push(
    token: Token,
    { logprob, last }: { readonly logprob?: TokenLogprob | undefined; readonly last: boolean },
  ): Said {
    if (logprob !== undefined) this.#logprobs.push(logprob);
    return this.#say(this.#reader.read(this.#textOf(token), { last }));
  }

  /** What was held back. */
  end(): Said {
    return this.#say(this.#reader.read('', { last: true }));
  }

  /** Of an answer that has ended. */
  finishReason(cause: 'stop' | 'length'): FinishReason {
    return this.#reader.finishReason(cause);
  }

  #say({ reasoning, parts, ...end }: Reading): Said {
    const events: GenerationEvent[] = [];
    if (reasoning !== '') events.push({ type: 'reasoning', text: reasoning });
    for (const part of parts) this.#tell(part, events);
    // Those of a thought, of its tags, or of a call are nobody's.
    if (events.length > 0 || this.#reader.inThought) this.#logprobs = [];
    return { events, ...end };
  }

  #tell(part: AnswerPart, events: GenerationEvent[]): void {
    switch (part.type) {
      case 'text':
        events.push(this.#text(part.text));
        break;
      case 'call':
        events.push({ type: 'tool-call', index: part.index, id: newCallId(), name: part.name });
        break;
      case 'arguments':
        events.push({ type: 'tool-arguments', index: part.index, delta: part.delta });
        break;
      case 'complete':
        break;
      default:
        part satisfies never;
    }
  }

  #text(text: string): GenerationEvent {
    if (this.#logprobs.length === 0) return { type: 'text', text };
    const logprobs = this.#logprobs;
    this.#logprobs = [];
    return { type: 'text', text, logprobs };
  }

  /** Some models have marks as special tokens, which are no text otherwise. */
  #textOf(token: Token): string {
    const text = this.#decoder.push(token);
    if (text !== '' || !this.#model.getTokenAttributes(token).control) return text;
    const special = this.#model.detokenize([token], true);
    return this.#reader.isMark(special) ? special : text;
  }
}

function newCallId(): string {
  return `call_${randomUUID().replaceAll('-', '')}`;
}
