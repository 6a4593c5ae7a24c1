/**
 * Splits an answer into text and tool calls, as it comes. Pure. Invariants: the parts depend on the text alone, never on
 * the pieces it came in; only what can still become a call is held back, and never more than MAX_HELD characters; what
 * turns out to be no call is text. Blanks before, between and after calls are dropped.
 */
import { type CallReader, JsonCall, NamedCall } from './call-reader.ts';
import { isBlank } from './json-scanner.ts';
import type { ToolSyntax } from './tool-syntax.ts';

/** Characters of a call whose name or arguments have not come yet. */
const MAX_HELD = 65_536;
/** Longer runs of blanks before a call are text. */
const MAX_BLANKS = 256;

/** What is found in an answer, in order. */
export type AnswerPart =
  | { readonly type: 'text'; readonly text: string }
  /** Its arguments follow. */
  | { readonly type: 'call'; readonly index: number; readonly name: string }
  | { readonly type: 'arguments'; readonly index: number; readonly delta: string }
  /** The end of the arguments. */
  | { readonly type: 'complete'; readonly index: number };

type Phase =
  /** Nothing but blanks so far, in a syntax whose calls need no mark before them. */
  | 'start'
  | 'text'
  /** After the mark that opens calls, before the first. */
  | 'opened'
  | 'call'
  /** After a call: another may follow, or the mark that closes them. */
  | 'between';

/** Of a character between calls: it belongs there, begins a call, ends all calls, or cannot stand there. */
type Verdict = 'accepted' | 'call' | 'closed' | 'rejected';

export class ToolCallSplitter {
  readonly #syntax: ToolSyntax;
  readonly #names: ReadonlySet<string>;
  #phase: Phase;
  /** Held back: text, or part of a call. */
  #held = '';
  #parts: AnswerPart[] = [];
  #calls = 0;
  #call: CallReader | undefined;
  /** The part `call` of the call that is read has been added; its arguments follow. */
  #announced = false;
  #inList = false;
  /** The beginning of the mark that closes calls. */
  #closing = '';
  /** Only blanks have come since the last call. */
  #justCalled = false;

  /** `names`: of the tools; a call of any other name is text. */
  constructor({ syntax, names }: { readonly syntax: ToolSyntax; readonly names: Iterable<string> }) {
    this.#syntax = syntax;
    this.#names = new Set(names);
    this.#phase = syntax.bare ? 'start' : 'text';
  }

  push(piece: string): readonly AnswerPart[] {
    let rest = piece;
    while (rest !== '') rest = this.#read(rest);
    return this.#takeParts();
  }

  /** The answer has ended. */
  flush(): readonly AnswerPart[] {
    if (this.#phase === 'call' && this.#announced) this.#endCall();
    else if (this.#phase !== 'between') this.#releaseHeld();
    this.#held = '';
    this.#phase = 'text';
    return this.#takeParts();
  }

  #takeParts(): readonly AnswerPart[] {
    const parts = this.#parts;
    this.#parts = [];
    return parts;
  }

  /** Reads as far as the phase goes. Returns the rest. */
  #read(text: string): string {
    switch (this.#phase) {
      case 'start':
        return this.#readStart(text);
      case 'text':
        return this.#readText(text);
      case 'opened':
        return this.#readMarks(text, (character) => this.#opened(character));
      case 'call':
        return this.#readCall(text);
      case 'between':
        return this.#readMarks(text, (character) => this.#between(character));
      default:
        return this.#phase satisfies never;
    }
  }

  #readStart(text: string): string {
    const all = this.#held + text;
    const blanks = all.length - withoutBlanks(all).length;
    this.#held = all.slice(0, blanks);
    const first = all.slice(blanks);
    if (first === '' && blanks <= MAX_BLANKS) return '';
    this.#phase = first.startsWith('{') && blanks <= MAX_BLANKS ? 'opened' : 'text';
    return first === '' ? this.#readText('') : first;
  }

  #readText(text: string): string {
    const { begins } = this.#syntax;
    const all = this.#held + text;
    const found = all.indexOf(begins);
    const end = found === -1 ? all.length - longestBeginning(all, begins) : found;
    const kept = Math.max(end - MAX_BLANKS, blanksFrom(all, end));
    this.#addText(all.slice(0, kept));
    if (found === -1) {
      this.#held = all.slice(kept);
      return '';
    }
    this.#held = all.slice(kept, found + begins.length);
    this.#phase = 'opened';
    this.#inList = false;
    return all.slice(found + begins.length);
  }

  /** Character by character, up to the first that is not accepted. */
  #readMarks(text: string, judge: (character: string) => Verdict): string {
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at);
      const verdict = this.#held.length === MAX_HELD ? 'rejected' : judge(character);
      switch (verdict) {
        case 'accepted':
          this.#held += character;
          break;
        case 'call':
          return text.slice(at);
        case 'closed':
          this.#held = '';
          this.#phase = 'text';
          return text.slice(at + 1);
        case 'rejected':
          this.#releaseHeld();
          return text.slice(at);
        default:
          verdict satisfies never;
      }
    }
    return '';
  }

  #opened(character: string): Verdict {
    if (isBlank(character)) return 'accepted';
    if (character === '[' && !this.#inList) {
      this.#inList = true;
      return 'accepted';
    }
    if (character === '{') return this.#begin(new JsonCall());
    const { named } = this.#syntax;
    return named === undefined || this.#inList ? 'rejected' : this.#begin(new NamedCall(named));
  }

  #begin(call: CallReader): 'call' {
    this.#call = call;
    this.#announced = false;
    this.#phase = 'call';
    return 'call';
  }

  #readCall(text: string): string {
    const call = this.#call;
    if (call === undefined) return text;
    for (let at = 0; at < text.length; at++) {
      const character = text.charAt(at);
      const holds = !this.#announced || call.argumentsText.complete;
      if ((holds && this.#held.length === MAX_HELD) || !call.accept(character)) {
        this.#leaveCall();
        return text.slice(at);
      }
      if (holds) this.#held += character;
      this.#announce(call);
      const unknown = call.name !== undefined && !this.#names.has(call.name);
      if (!this.#announced && (unknown || call.complete)) this.#releaseHeld();
      else if (call.complete) this.#endCall();
      if (this.#phase !== 'call') return text.slice(at + 1);
    }
    this.#addArguments();
    return '';
  }

  /** As soon as the tool is known and the arguments have begun. */
  #announce({ name, argumentsText }: CallReader): void {
    if (this.#announced || name === undefined || !argumentsText.begun || !this.#names.has(name)) return;
    this.#parts.push({ type: 'call', index: this.#calls, name });
    this.#calls += 1;
    this.#announced = true;
    this.#held = '';
  }

  /** The call cannot go on: it ends cut off, or was text. */
  #leaveCall(): void {
    if (!this.#announced) this.#releaseHeld();
    else if (this.#call?.argumentsText.complete) this.#endCall(this.#held);
    else this.#endCall();
  }

  #endCall(held = ''): void {
    this.#addArguments();
    this.#held = held;
    this.#closing = '';
    this.#justCalled = true;
    if (this.#call?.argumentsText.complete) {
      this.#parts.push({ type: 'complete', index: this.#calls - 1 });
      const { ends, bare } = this.#syntax;
      this.#phase = ends === '' && !bare && !this.#inList ? 'text' : 'between';
    } else {
      this.#justCalled = false;
      this.#phase = 'text';
    }
  }

  #between(character: string): Verdict {
    const { ends } = this.#syntax;
    if (ends !== '' && ends.startsWith(this.#closing + character)) {
      this.#closing += character;
      return this.#closing === ends ? 'closed' : 'accepted';
    }
    if (this.#closing !== '') return 'rejected';
    if (isBlank(character) || character === ',' || character === ';') return 'accepted';
    if (character === '{') return this.#begin(new JsonCall());
    if (character !== ']' || !this.#inList) return 'rejected';
    this.#inList = false;
    return ends === '' ? 'closed' : 'accepted';
  }

  #releaseHeld(): void {
    const held = this.#held;
    this.#held = '';
    this.#phase = 'text';
    this.#addText(held);
  }

  /** Neighbouring texts become one part. */
  #addText(text: string): void {
    const added = this.#justCalled ? withoutBlanks(text) : text;
    if (added === '') return;
    this.#justCalled = false;
    const before = this.#parts.at(-1);
    if (before?.type !== 'text') this.#parts.push({ type: 'text', text: added });
    else this.#parts[this.#parts.length - 1] = { type: 'text', text: before.text + added };
  }

  #addArguments(): void {
    const delta = this.#announced ? (this.#call?.argumentsText.take() ?? '') : '';
    if (delta !== '') this.#parts.push({ type: 'arguments', index: this.#calls - 1, delta });
  }
}

function withoutBlanks(text: string): string {
  return text.replace(/^[ \n\r\t]+/, '');
}

/** Where the blanks that end at `end` begin. */
function blanksFrom(text: string, end: number): number {
  let at = end;
  while (at > 0 && isBlank(text.charAt(at - 1))) at -= 1;
  return at;
}

/** The length of the longest end of the text that is a beginning of `word`, but not all of it. */
function longestBeginning(text: string, word: string): number {
  let length = Math.min(word.length - 1, text.length);
  while (!text.endsWith(word.slice(0, length))) length -= 1;
  return length;
}
