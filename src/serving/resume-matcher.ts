/**
 * What a client has got of an answer, and the comparison of a regenerated answer with it. What equals the transcript is swallowed,
 * however either answer was cut into pieces; what follows is passed on. Pure. Invariant: as long as no difference is reported, what
 * was sent and what is passed on add up to the regenerated answer, each character and each log-probability once.
 */
import type { GenerationEvent, TokenLogprob } from '../core/generation.ts';

type Kind = 'text' | 'reasoning' | 'call' | 'arguments';

/** Adjacent pieces of one kind are one part, up to PART_LENGTH. */
interface Part {
  readonly kind: Kind;
  /** Of the tool call; NO_CALL for text and reasoning. */
  readonly index: number;
  /** Of a call: its name. */
  text: string;
}

const NO_CALL = -1;
/** Characters after which another part begins, so that what has been joined is not joined again. */
const PART_LENGTH = 1024;
/** Characters. A longer answer is not kept, and so not resumed. */
const MAX_LENGTH = 1_048_576;

/** Owned by one generation. Costs one string append per event, and one or two bytes per character. */
export class Transcript {
  readonly #maxLength: number;
  #parts: Part[] = [];
  #last: Part | undefined;
  #length = 0;
  #logprobs = 0;
  #logprobBytes = 0;
  #isWhole = true;

  constructor(maxLength = MAX_LENGTH) {
    this.#maxLength = maxLength;
  }

  /** False: it became too long and has been dropped. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get parts(): readonly Part[] {
    return this.#parts;
  }

  /** Of how many tokens log-probabilities were sent. */
  get logprobs(): number {
    return this.#logprobs;
  }

  /** The bytes of those tokens, together. */
  get logprobBytes(): number {
    return this.#logprobBytes;
  }

  /** The text, if it is all that was sent: no reasoning, no call. */
  get textAlone(): string | undefined {
    if (!this.#isWhole || this.#parts.some(({ kind }) => kind !== 'text')) return undefined;
    return this.#parts.map(({ text }) => text).join('');
  }

  /** The event has been passed on to the client. */
  add(event: GenerationEvent): void {
    switch (event.type) {
      case 'text':
        if (event.logprobs !== undefined) this.#addLogprobs(event.logprobs);
        this.#append('text', NO_CALL, event.text);
        return;
      case 'reasoning':
        this.#append('reasoning', NO_CALL, event.text);
        return;
      case 'tool-call':
        this.#append('call', event.index, event.name);
        return;
      case 'tool-arguments':
        this.#append('arguments', event.index, event.delta);
        return;
      case 'start':
      case 'finish':
        return;
      default:
        throw event satisfies never;
    }
  }

  #append(kind: Kind, index: number, text: string): void {
    if (!this.#isWhole || text === '') return;
    this.#length += text.length;
    if (this.#length > this.#maxLength) {
      this.#isWhole = false;
      this.#parts = [];
      this.#last = undefined;
      return;
    }
    const last = this.#last;
    if (last !== undefined && last.kind === kind && last.index === index && last.text.length < PART_LENGTH) {
      last.text += text;
      return;
    }
    // V8 keeps an appended string as a tree of its pieces, ten times its size, until a character of it is read.
    last?.text.charCodeAt(0);
    this.#last = { kind, index, text };
    this.#parts.push(this.#last);
  }

  #addLogprobs(logprobs: readonly TokenLogprob[]): void {
    this.#logprobs += logprobs.length;
    for (const { bytes } of logprobs) this.#logprobBytes += bytes.length;
  }
}

/** `swallowed`: the client has it already. `differs`: with what the client has; nothing after it may be passed on. */
type Match = GenerationEvent | 'swallowed' | 'differs';

const NO_LOGPROBS: readonly TokenLogprob[] = [];

/** Compares one regenerated answer with a transcript, which must not grow by anything but what is passed on. */
export class ResumeMatcher {
  readonly #parts: readonly Part[];
  #place = 0;
  /** Characters of the part at `#place` that have come again. */
  #offset = 0;
  /** Still to come again. */
  #logprobs: number;
  #logprobBytes: number;
  /** Of text that the client has, and has got without them. */
  #heldLogprobs = NO_LOGPROBS;

  constructor({ parts, logprobs, logprobBytes }: Transcript) {
    // A copy: the transcript's last part goes on growing.
    this.#parts = parts.map(({ kind, index, text }) => ({ kind, index, text }));
    this.#logprobs = logprobs;
    this.#logprobBytes = logprobBytes;
  }

  /** All that was sent has come again: nothing is left to compare. */
  get isDone(): boolean {
    return this.#hasCaughtUp && this.#logprobs === 0 && this.#heldLogprobs.length === 0;
  }

  /** To be called with each event, in order. */
  match(event: GenerationEvent): Match {
    switch (event.type) {
      case 'start':
        return 'swallowed';
      case 'text':
        return this.#text(event.text, event.logprobs);
      case 'reasoning': {
        const rest = this.#restOf('reasoning', NO_CALL, event.text);
        if (rest === undefined) return 'differs';
        return rest === '' ? 'swallowed' : { type: 'reasoning', text: rest };
      }
      case 'tool-call':
        return this.#call(event);
      case 'tool-arguments': {
        const delta = this.#restOf('arguments', event.index, event.delta);
        if (delta === undefined) return 'differs';
        return delta === '' ? 'swallowed' : { type: 'tool-arguments', index: event.index, delta };
      }
      case 'finish':
        return this.#hasCaughtUp && this.#logprobs === 0 ? event : 'differs';
      default:
        throw event satisfies never;
    }
  }

  get #hasCaughtUp(): boolean {
    return this.#place === this.#parts.length;
  }

  #text(text: string, logprobs = NO_LOGPROBS): Match {
    const fresh = this.#freshLogprobs(logprobs);
    const rest = this.#restOf('text', NO_CALL, text);
    if (rest === undefined || fresh === undefined) return 'differs';
    const due = this.#heldLogprobs.length === 0 ? fresh : [...this.#heldLogprobs, ...fresh];
    this.#heldLogprobs = rest === '' ? due : NO_LOGPROBS;
    if (rest === '') return 'swallowed';
    return due.length === 0 ? { type: 'text', text: rest } : { type: 'text', text: rest, logprobs: due };
  }

  /** Those that were not sent. Undefined: they do not belong to the tokens that were sent. */
  #freshLogprobs(logprobs: readonly TokenLogprob[]): readonly TokenLogprob[] | undefined {
    if (this.#logprobs === 0) return logprobs;
    const sent = Math.min(this.#logprobs, logprobs.length);
    this.#logprobs -= sent;
    for (let at = 0; at < sent; at += 1) this.#logprobBytes -= logprobs[at]?.bytes.length ?? 0;
    if (this.#logprobs === 0 && this.#logprobBytes !== 0) return undefined;
    return logprobs.slice(sent);
  }

  /** A call's id may differ from one answer to the next: the client keeps the one that it has. */
  #call(event: Extract<GenerationEvent, { type: 'tool-call' }>): Match {
    const part = this.#parts[this.#place];
    if (part === undefined) return event;
    if (part.kind !== 'call' || part.index !== event.index || part.text !== event.name) return 'differs';
    this.#place += 1;
    return 'swallowed';
  }

  /** What the client does not have of the text. Undefined: it has something else. */
  #restOf(kind: Kind, index: number, text: string): string | undefined {
    let from = 0;
    while (from < text.length) {
      const part = this.#parts[this.#place];
      if (part === undefined) return text.slice(from);
      if (part.kind !== kind || part.index !== index) return undefined;
      const length = Math.min(part.text.length - this.#offset, text.length - from);
      const sent = part.text.slice(this.#offset, this.#offset + length);
      if (text.slice(from, from + length) !== sent) return undefined;
      from += length;
      this.#offset += length;
      if (this.#offset < part.text.length) break;
      this.#place += 1;
      this.#offset = 0;
    }
    return '';
  }
}
