/**
 * From the tokens of one answer to its events: decodes them, tells reasoning, text and tool calls apart, and ends at a
 * stop string or after the one call that is allowed. Owns what is held back on the way, and the log-probabilities of
 * tokens whose text has not left yet. Invariant: where events are cut depends on the text alone.
 */
import { randomUUID } from 'node:crypto';
import type { FinishReason, GenerationEvent, TokenLogprob } from '../../../core/generation.ts';
import { StopMatcher } from '../../../core/stop-matcher.ts';
import type { Model, Token } from './library.ts';
import { ReasoningSplitter, type ReasoningStart, THINK_CLOSE, THINK_OPEN } from './reasoning-splitter.ts';
import { type AnswerPart, ToolCallSplitter } from './tools/tool-call-splitter.ts';
import { marksOf, type ToolSyntax } from './tools/tool-syntax.ts';
import { TokenDecoder } from './vocabulary.ts';

interface AnswerTextOptions {
  readonly model: Pick<Model, 'detokenize' | 'getTokenAttributes'>;
  readonly prompt: readonly Token[];
  readonly reasoning: ReasoningStart;
  readonly stop: readonly string[];
  /** Absent: there are no tools to call. */
  readonly toolSyntax?: ToolSyntax;
  readonly toolNames: readonly string[];
  /** The answer ends with its first call. */
  readonly singleCall: boolean;
  /** The answer is either calls or text, from its beginning: within its text, nothing is taken for a call. */
  readonly callsOrText: boolean;
}

export class AnswerText {
  readonly #model: AnswerTextOptions['model'];
  readonly #decoder: TokenDecoder;
  /** Absent where the model does not reason: then tags are text like any other. */
  readonly #reasoning: ReasoningSplitter | undefined;
  readonly #promptOpensReasoning: boolean;
  /** Absent where there can be no call: from here on, all is text. */
  #calls: ToolCallSplitter | undefined;
  readonly #callMarks: readonly string[];
  readonly #singleCall: boolean;
  /** Whether the answer is calls or text is seen from its beginning, which has not come yet. */
  #undecided: boolean;
  #inArguments = false;
  #completeCalls = 0;
  readonly #stops: StopMatcher;
  #ended = false;
  #matchedStop: string | undefined;
  #logprobs: TokenLogprob[] = [];
  /** Not returned yet. */
  #events: GenerationEvent[] = [];

  constructor(options: AnswerTextOptions) {
    const { model, prompt, reasoning, stop, toolSyntax, toolNames, singleCall, callsOrText } = options;
    this.#model = model;
    this.#decoder = new TokenDecoder(model, prompt);
    this.#reasoning =
      reasoning === 'none' ? undefined : new ReasoningSplitter({ begun: reasoning === 'begun' });
    this.#promptOpensReasoning = reasoning === 'begun';
    this.#calls = toolSyntax && new ToolCallSplitter({ syntax: toolSyntax, names: toolNames });
    this.#callMarks = toolSyntax ? marksOf(toolSyntax) : [];
    this.#singleCall = singleCall;
    this.#undecided = callsOrText;
    this.#stops = new StopMatcher(stop);
  }

  /** Within reasoning that the prompt has opened: no grammar constrains that. */
  get inPromptedReasoning(): boolean {
    return this.#promptOpensReasoning && this.#reasoning?.inAnswer === false;
  }

  get inReasoning(): boolean {
    return this.#reasoning?.inReasoning === true;
  }

  /** The answer is over, whatever the model would go on with. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The stop string that ended it. */
  get matchedStop(): string | undefined {
    return this.#matchedStop;
  }

  /** `last`: the answer ends with this token. */
  push(
    token: Token,
    { logprob, last }: { readonly logprob?: TokenLogprob | undefined; readonly last: boolean },
  ): readonly GenerationEvent[] {
    if (logprob !== undefined) this.#logprobs.push(logprob);
    return this.#read(this.#textOf(token), last);
  }

  /** What was held back, of an answer without another token. */
  end(): readonly GenerationEvent[] {
    return this.#read('', true);
  }

  /** Of an answer that has ended. */
  finishReason(cause: 'stop' | 'length'): FinishReason {
    return this.#completeCalls > 0 && !this.#inArguments ? 'tool_calls' : cause;
  }

  /** Some models have the marks of reasoning or of calls as special tokens, which are no text otherwise. */
  #textOf(token: Token): string {
    const text = this.#decoder.push(token);
    if (text !== '' || !this.#model.getTokenAttributes(token).control) return text;
    const special = this.#model.detokenize([token], true);
    return this.#isMark(special) ? special : text;
  }

  #isMark(specialToken: string): boolean {
    if (this.#callMarks.includes(specialToken)) return true;
    const mayReason = this.#reasoning?.inAnswer === false;
    return mayReason && (specialToken === THINK_OPEN || specialToken === THINK_CLOSE);
  }

  #read(piece: string, last: boolean): readonly GenerationEvent[] {
    const split = this.#reasoning?.push(piece);
    const rest = last ? this.#reasoning?.flush() : undefined;
    const reasoning = (split?.reasoning ?? '') + (rest?.reasoning ?? '');
    if (reasoning !== '') this.#events.push({ type: 'reasoning', text: reasoning });
    this.#readAnswer((split === undefined ? piece : split.text) + (rest?.text ?? ''), last);
    const events = this.#events;
    // Log-probabilities of reasoning, of its tags or of a call belong to no text.
    if (events.length > 0 || this.inReasoning) this.#logprobs = [];
    this.#events = [];
    return events;
  }

  /** Stop strings end the text of the answer; they mean nothing in reasoning or in the arguments of a tool. */
  #readAnswer(text: string, last: boolean): void {
    for (const part of this.#split(text, last)) {
      if (part.type === 'text') {
        this.#inArguments = false;
        const stopped = this.#stops.push(part.text);
        this.#addText(stopped.text);
        this.#matchedStop = stopped.matched;
        this.#ended = stopped.matched !== undefined;
      } else {
        this.#addCallPart(part);
        this.#ended = this.#singleCall && this.#completeCalls > 0;
      }
      if (this.#ended) return;
    }
    if (last) this.#addText(this.#stops.flush());
  }

  #split(text: string, last: boolean): readonly AnswerPart[] {
    const parts = this.#undecided ? this.#decide(text) : this.#splitCalls(text);
    return last ? [...parts, ...(this.#calls?.flush() ?? [])] : parts;
  }

  #splitCalls(text: string): readonly AnswerPart[] {
    if (this.#calls !== undefined) return this.#calls.push(text);
    return text === '' ? [] : [{ type: 'text', text }];
  }

  /** Character by character, until the first part shows what the answer is. */
  #decide(text: string): readonly AnswerPart[] {
    let at = 0;
    for (const character of text) {
      at += character.length;
      const parts = this.#splitCalls(character);
      const [first] = parts;
      if (first === undefined) continue;
      this.#undecided = false;
      if (first.type !== 'text') return [...parts, ...this.#splitCalls(text.slice(at))];
      const held = this.#calls?.flush() ?? [];
      this.#calls = undefined;
      return [...parts, ...held, ...this.#splitCalls(text.slice(at))];
    }
    return [];
  }

  #addCallPart(part: Exclude<AnswerPart, { type: 'text' }>): void {
    switch (part.type) {
      case 'call':
        this.#addText(this.#stops.flush());
        this.#events.push({ type: 'tool-call', index: part.index, id: newCallId(), name: part.name });
        this.#inArguments = true;
        break;
      case 'arguments':
        this.#events.push({ type: 'tool-arguments', index: part.index, delta: part.delta });
        break;
      case 'complete':
        this.#completeCalls += 1;
        this.#inArguments = false;
        break;
      default:
        part satisfies never;
    }
  }

  /** Neighbouring texts become one event. The first text takes the log-probabilities. */
  #addText(text: string): void {
    if (text === '') return;
    const before = this.#events.at(-1);
    if (before?.type === 'text') {
      this.#events[this.#events.length - 1] = { ...before, text: before.text + text };
    } else if (this.#logprobs.length > 0) {
      this.#events.push({ type: 'text', text, logprobs: this.#logprobs });
      this.#logprobs = [];
    } else {
      this.#events.push({ type: 'text', text });
    }
  }
}

function newCallId(): string {
  return `call_${randomUUID().replaceAll('-', '')}`;
}
