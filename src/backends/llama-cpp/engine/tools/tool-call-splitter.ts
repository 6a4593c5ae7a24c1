/**
 * Tells the calls of tools in an answer from its text, as the answer comes. Pure.
 * Invariants: what comes out depends on the text alone, never on the pieces it came in; only what can still become a
 * call waits, and never more than HELD_AT_MOST characters; what turns out to be no call comes out as the text it is.
 * Blanks before, between and after calls are dropped.
 */

import { type CallReader, JsonCall, NamedCall } from './call-reader.ts';
import { blanksFrom, isBlank, longestBeginning, withoutBlanks } from './json-scanner.ts';
import type { ToolFormat } from './tool-format.ts';

/** Of a call whose name or arguments have not come yet. */
const MAX_HELD = 65_536;
/** Longer runs of blanks before a call are text. */
const MAX_BLANKS = 256;

type Phase =
  /** Nothing but blanks so far, in a form whose calls need nothing before them. */
  | 'start'
  | 'text'
  /** After what opens calls, before the first. */
  | 'opened'
  | 'call'
  /** After a call: another, or what closes them. */
  | 'between';

/** Of a character: it belongs where it stands, with it a call begins, with it all calls end, or neither. */
type Verdict = 'taken' | 'call' | 'closed' | 'no';

export class ToolCallSplitter {
  readonly #format: ToolFormat;
  readonly #names: ReadonlySet<string>;
  #phase: Phase;
  /** Not given out yet; in the end text, or part of a call. */
  #held = '';
  readonly #parts = new AnswerParts();
  #call: CallReader | undefined;
  /** The call being read has been given out: it has its index, its arguments follow. */
  #told = false;
  #inList = false;
  /** What has come of the text that closes calls. */
  #closing = '';
  /** Only blanks have come since the last call. */
  #justCalled = false;

  /** `names`: of the tools there are; a call of any other is text. */
  constructor({ format, names }: { readonly format: ToolFormat; readonly names: Iterable<string> }) {
    this.#format = format;
    this.#names = new Set(names);
    this.#phase = format.bare ? 'start' : 'text';
  }

  push(piece: string): readonly AnswerPart[] {
    let rest = piece;
    while (rest !== '') rest = this.#take(rest);
    return this.#parts.take();
  }

  /** The answer has ended. */
  flush(): readonly AnswerPart[] {
    if (this.#phase === 'call' && this.#told) this.#endCall();
    else if (this.#phase !== 'between') this.#giveBack();
    this.#held = '';
    this.#phase = 'text';
    return this.#parts.take();
  }

  /** What is left when it has gone as far as its phase goes. */
  #take(text: string): string {
    switch (this.#phase) {
      case 'start':
        return this.#start(text);
      case 'text':
        return this.#text(text);
      case 'opened':
        return this.#eachCharacter(text, (character) => this.#opened(character));
      case 'call':
        return this.#inCall(text);
      case 'between':
        return this.#eachCharacter(text, (character) => this.#between(character));
      default:
        return this.#phase satisfies never;
    }
  }

  #start(text: string): string {
    const all = this.#held + text;
    const blanks = all.length - withoutBlanks(all).length;
    this.#held = all.slice(0, blanks);
    const first = all.slice(blanks);
    if (first === '' && blanks <= MAX_BLANKS) return '';
    this.#phase = first.startsWith('{') && blanks <= MAX_BLANKS ? 'opened' : 'text';
    return first === '' ? this.#text('') : first;
  }

  #text(text: string): string {
    const { begins } = this.#format;
    const all = this.#held + text;
    const found = all.indexOf(begins);
    const end = found === -1 ? all.length - longestBeginning(all, begins) : found;
    const kept = Math.max(end - MAX_BLANKS, blanksFrom(all, end));
    this.#tell(all.slice(0, kept));
    if (found === -1) {
      this.#held = all.slice(kept);
      return '';
    }
    this.#held = all.slice(kept, found + begins.length);
    this.#phase = 'opened';
    this.#inList = false;
    return all.slice(found + begins.length);
  }

  /** Goes on as long as characters belong where they stand; the first that does not ends it. */
  #eachCharacter(text: string, judge: (character: string) => Verdict): string {
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at);
      const verdict = this.#held.length === MAX_HELD ? 'no' : judge(character);
      switch (verdict) {
        case 'taken':
          this.#held += character;
          break;
        case 'call':
          return text.slice(at);
        case 'closed':
          this.#held = '';
          this.#phase = 'text';
          return text.slice(at + 1);
        case 'no':
          this.#giveBack();
          return text.slice(at);
        default:
          verdict satisfies never;
      }
    }
    return '';
  }

  #opened(character: string): Verdict {
    if (isBlank(character)) return 'taken';
    if (character === '[' && !this.#inList) {
      this.#inList = true;
      return 'taken';
    }
    if (character === '{') return this.#begin(new JsonCall());
    const { named } = this.#format;
    return named === undefined || this.#inList ? 'no' : this.#begin(new NamedCall(named));
  }

  #begin(call: CallReader): 'call' {
    this.#call = call;
    this.#told = false;
    this.#phase = 'call';
    return 'call';
  }

  #inCall(text: string): string {
    const call = this.#call;
    if (call === undefined) return text;
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at);
      const holds = !this.#told || call.given.complete;
      if ((holds && this.#held.length === MAX_HELD) || !call.accept(character)) {
        this.#leaveCall();
        return text.slice(at);
      }
      if (holds) this.#held += character;
      this.#tellCall(call);
      const unknown = call.name !== undefined && !this.#names.has(call.name);
      if (!this.#told && (unknown || call.complete)) this.#giveBack();
      else if (call.complete) this.#endCall();
      if (this.#phase !== 'call') return text.slice(at + 1);
    }
    this.#tellArguments();
    return '';
  }

  /** Gives the call out as soon as it is one of a tool there is, and its arguments have begun. */
  #tellCall({ name, given }: CallReader): void {
    if (this.#told || name === undefined || !given.begun || !this.#names.has(name)) return;
    this.#parts.call(name);
    this.#told = true;
    this.#held = '';
  }

  /** The call cannot go on: it ends with what came of it, or never was one. */
  #leaveCall(): void {
    if (!this.#told) this.#giveBack();
    else if (this.#call?.given.complete) this.#endCall(this.#held);
    else this.#endCall();
  }

  #endCall(held = ''): void {
    this.#tellArguments();
    this.#held = held;
    this.#closing = '';
    this.#justCalled = true;
    if (this.#call?.given.complete) {
      this.#parts.complete();
      const { ends, bare } = this.#format;
      this.#phase = ends === '' && !bare && !this.#inList ? 'text' : 'between';
    } else {
      this.#justCalled = false;
      this.#phase = 'text';
    }
  }

  #between(character: string): Verdict {
    const { ends } = this.#format;
    if (ends !== '' && ends.startsWith(this.#closing + character)) {
      this.#closing += character;
      return this.#closing === ends ? 'closed' : 'taken';
    }
    if (this.#closing !== '') return 'no';
    if (isBlank(character) || character === ',' || character === ';') return 'taken';
    if (character === '{') return this.#begin(new JsonCall());
    if (character !== ']' || !this.#inList) return 'no';
    this.#inList = false;
    return ends === '' ? 'closed' : 'taken';
  }

  #giveBack(): void {
    const held = this.#held;
    this.#held = '';
    this.#phase = 'text';
    this.#tell(held);
  }

  #tell(text: string): void {
    const told = this.#justCalled ? withoutBlanks(text) : text;
    if (told !== '') this.#justCalled = false;
    this.#parts.text(told);
  }

  #tellArguments(): void {
    if (this.#told) this.#parts.arguments(this.#call?.given.take() ?? '');
  }
}

/** Collects what an answer consists of, in order, until somebody takes it. Neighbours of one kind are joined. */
export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  /** Its arguments follow. */
  | { readonly type: 'call'; readonly index: number; readonly name: string }
  | { readonly type: 'arguments'; readonly index: number; readonly delta: string }
  /** The arguments have come to their end. */
  | { readonly type: 'complete'; readonly index: number };

export class AnswerParts {
  #parts: AnswerPart[] = [];
  #calls = 0;

  text(text: string): void {
    if (text === '') return;
    const last = this.#parts.at(-1);
    if (last?.type !== 'text') this.#parts.push({ type: 'text', text });
    else this.#parts[this.#parts.length - 1] = { type: 'text', text: last.text + text };
  }

  call(name: string): void {
    this.#parts.push({ type: 'call', index: this.#calls, name });
    this.#calls += 1;
  }

  /** Of the last call. */
  arguments(delta: string): void {
    if (delta !== '') this.#parts.push({ type: 'arguments', index: this.#calls - 1, delta });
  }

  /** The last call is. */
  complete(): void {
    this.#parts.push({ type: 'complete', index: this.#calls - 1 });
  }

  take(): readonly AnswerPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }
}
