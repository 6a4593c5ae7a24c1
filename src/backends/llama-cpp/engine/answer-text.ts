/**
 * From the tokens of one answer to what is told of them: decoded, read, and as events. Owns parts of characters that
 * are not complete, and the log-probabilities of tokens whose text has not left yet.
 */

import { randomUUID } from 'node:crypto';
import type { FinishReason, GenerationEvent, TokenLogprob } from '../../../core/generation.ts';
import { StopMatcher } from '../../../core/stop-matcher.ts';
import type { Model, Token } from './library.ts';
import type { ReasoningStart } from './prompt.ts';
import { ReasoningSplitter, THINK_CLOSE, THINK_OPEN } from './reasoning-splitter.ts';
import { type AnswerPart, AnswerParts, ToolCallSplitter } from './tools/tool-call-splitter.ts';
import { marksOf, type ToolFormat } from './tools/tool-format.ts';
import { TokenDecoder } from './vocabulary.ts';

interface AnswerTextOptions extends AnswerReaderOptions {
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

/**
 * Reads an answer as it comes: what the model thinks, what it says, which tools it calls; and ends at stop strings, or with
 * the one call it may have.
 * Pure. Owns what is held back on the way; invariant: where it cuts depends on the text alone.
 */

interface AnswerReaderOptions {
  readonly thought: ReasoningStart;
  readonly stop: readonly string[];
  /** Absent: there are no tools to call. */
  readonly toolFormat?: ToolFormat;
  readonly toolNames: readonly string[];
  /** The answer ends with its first call. */
  readonly singleCall: boolean;
  /** The answer is either calls or text, from its beginning: what looks like a call within its text is text. */
  readonly callsOrText?: boolean;
}

interface Reading {
  /** Comes before the parts; can be empty, as they can. */
  readonly reasoning: string;
  readonly parts: readonly AnswerPart[];
  /** The answer ends here, whatever the model would go on with. */
  readonly ended: boolean;
  /** The stop string that ended it. */
  readonly matchedStop?: string;
}

export class AnswerReader {
  /** Absent where the model does not think: then tags are text like any other. */
  readonly #thoughts: ReasoningSplitter | undefined;
  readonly #thoughtIsOpened: boolean;
  /** Absent where there can be no call: from here on, all is text. */
  #calls: ToolCallSplitter | undefined;
  /** Whether the answer is calls or text will be seen from its beginning. */
  #undecided: boolean;
  readonly #callMarks: readonly string[];
  readonly #stops: StopMatcher;
  readonly #singleCall: boolean;
  readonly #parts = new AnswerParts();
  #completeCalls = 0;
  /** Within the arguments of a call. */
  #inCall = false;

  constructor(options: AnswerReaderOptions) {
    const { thought, stop, toolFormat: format, toolNames: names, singleCall } = options;
    this.#undecided = options.callsOrText === true;
    this.#thoughts = thought === 'none' ? undefined : new ReasoningSplitter({ begun: thought === 'begun' });
    this.#thoughtIsOpened = thought === 'begun';
    this.#calls = format && new ToolCallSplitter({ format, names });
    this.#callMarks = format ? marksOf(format) : [];
    this.#stops = new StopMatcher(stop);
    this.#singleCall = singleCall;
  }

  /** Within a thought that the prompt has opened: what holds the answer to a form does not hold that. */
  get inOpenedThought(): boolean {
    return this.#thoughtIsOpened && this.#thoughts?.inAnswer === false;
  }

  get inThought(): boolean {
    return this.#thoughts?.inThought === true;
  }

  /** Some models have marks as special tokens, which are no text otherwise: this one has to be read. */
  isMark(specialToken: string): boolean {
    if (this.#callMarks.includes(specialToken)) return true;
    const mayThink = this.#thoughts?.inAnswer === false;
    return mayThink && (specialToken === THINK_OPEN || specialToken === THINK_CLOSE);
  }

  /** `last`: the answer ends with this piece, which can be empty. */
  read(piece: string, { last }: { readonly last: boolean }): Reading {
    const { reasoning, text } = this.#thoughts?.push(piece) ?? { reasoning: '', text: piece };
    const rest = last ? this.#thoughts?.flush() : undefined;
    const end = this.#answer(text + (rest?.text ?? ''), last);
    const parts = this.#parts.take();
    return { reasoning: reasoning + (rest?.reasoning ?? ''), parts, ended: end !== undefined, ...end };
  }

  /** Of an answer that has ended. */
  finishReason(cause: 'stop' | 'length'): FinishReason {
    return this.#completeCalls > 0 && !this.#inCall ? 'tool_calls' : cause;
  }

  /** Stop strings end what the model says, not what it thinks before or gives to a tool. Undefined: it goes on. */
  #answer(text: string, last: boolean): Pick<Reading, 'matchedStop'> | undefined {
    for (const part of this.#split(text, last)) {
      if (part.type === 'text') {
        this.#inCall = false;
        const said = this.#stops.push(part.text);
        this.#parts.text(said.text);
        if (said.matched !== undefined) return { matchedStop: said.matched };
      } else {
        this.#take(part);
        if (this.#singleCall && this.#completeCalls > 0) return {};
      }
    }
    if (last) this.#parts.text(this.#stops.flush());
    return undefined;
  }

  #take(part: Exclude<AnswerPart, { type: 'text' }>): void {
    switch (part.type) {
      case 'call':
        this.#parts.text(this.#stops.flush());
        this.#parts.call(part.name);
        this.#inCall = true;
        break;
      case 'arguments':
        this.#parts.arguments(part.delta);
        break;
      case 'complete':
        this.#parts.complete();
        this.#completeCalls += 1;
        this.#inCall = false;
        break;
      default:
        part satisfies never;
    }
  }

  #split(text: string, last: boolean): readonly AnswerPart[] {
    const parts = this.#undecided ? this.#decide(text) : this.#parted(text);
    return last ? [...parts, ...(this.#calls?.flush() ?? [])] : parts;
  }

  #parted(text: string): readonly AnswerPart[] {
    if (this.#calls !== undefined) return this.#calls.push(text);
    return text === '' ? [] : [{ type: 'text', text }];
  }

  /** Character by character, until the first part shows what it is. */
  #decide(text: string): readonly AnswerPart[] {
    let at = 0;
    for (const character of text) {
      at += character.length;
      const parts = this.#parted(character);
      const [first] = parts;
      if (first === undefined) continue;
      this.#undecided = false;
      if (first.type !== 'text') return [...parts, ...this.#parted(text.slice(at))];
      const held = this.#calls?.flush() ?? [];
      this.#calls = undefined;
      return [...parts, ...held, ...this.#parted(text.slice(at))];
    }
    return [];
  }
}
