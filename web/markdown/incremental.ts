/**
 * Markdown that grows at its end. Blocks that no later text can change are closed and never parsed again; only the open end is. A
 * block that grows too long to be parsed with every piece is closed in parts. Pure.
 */
import { Lexer, type Token, type Tokens } from 'marked';

export type Block =
  | {
      readonly kind: 'token';
      readonly token: Token /** The next block is the rest of this one. */;
      readonly continues?: boolean;
    }
  | CodeBlock
  /** Too long and without a place to divide it, or nested too deep: shown as it is written. */
  | { readonly kind: 'plain'; readonly text: string };

export interface CodeBlock {
  readonly kind: 'code';
  readonly language: string;
  /** Of about CODE_PIECE characters, cut at ends of lines; all but the last are final. */
  readonly pieces: readonly string[];
  readonly complete: boolean;
}

const PARAGRAPH_PART = 4_000;
const OPEN_AT_MOST = 12_000;
const CODE_PIECE = 4_000;
/** Of closed blocks that are drawn as one. */
const SECTION = 24;

interface Fence {
  readonly mark: string;
  readonly indent: number;
  readonly language: string;
  readonly pieces: string[];
}

const FENCE = /^( {0,3})(`{3,}|~{3,})[ \t]*([^\n]*)\n/;

export class IncrementalMarkdown {
  /** Closed blocks, in sections: all but the last are full, and stay the same array. */
  readonly sections: (readonly Block[])[] = [];
  /** The open end. */
  open: readonly Block[] = [];
  /** Characters taken so far. */
  length = 0;
  #tail = '';
  #fence: Fence | undefined;

  push(piece: string): void {
    this.length += piece.length;
    // As marked reads them.
    this.#tail += piece.replace(/\r\n?/g, '\n');
    this.#advance(false);
  }

  /** No more text follows. */
  end(): void {
    this.#advance(true);
    this.#close(this.open);
    this.open = [];
    this.#tail = '';
    this.#fence = undefined;
  }

  #advance(isEnd: boolean): void {
    if (this.#fence !== undefined && !this.#readFence(this.#fence, isEnd)) return;
    // One turn more for each block that is closed in parts.
    while (this.#readBlocks(isEnd));
  }

  /** False: the code goes on. */
  #readFence(fence: Fence, isEnd: boolean): boolean {
    let at = 0;
    for (;;) {
      const lineEnd = this.#tail.indexOf('\n', at);
      if (lineEnd === -1 && !(isEnd && at < this.#tail.length)) break;
      const end = lineEnd === -1 ? this.#tail.length : lineEnd + 1;
      const line = this.#tail.slice(at, end);
      at = end;
      if (closesFence(line, fence.mark)) {
        this.#tail = this.#tail.slice(at);
        this.#fence = undefined;
        this.#close([codeBlock(fence, '', true)]);
        return true;
      }
      addLine(fence.pieces, withoutIndent(line, fence.indent));
    }
    this.#tail = this.#tail.slice(at);
    this.open = [codeBlock(fence, this.#tail, isEnd)];
    return false;
  }

  /** Closes what is final of the tail. True: there is more to divide. */
  #readBlocks(isEnd: boolean): boolean {
    // A line that has only begun may yet be of another kind: it decides nothing.
    const decided = isEnd ? this.#tail : this.#tail.slice(0, this.#tail.lastIndexOf('\n') + 1);
    const tokens = lex(decided);
    const last = lastOf(tokens);
    const token = tokens[last];
    if (token !== undefined) {
      const final = tokens.slice(0, last);
      this.#close(final.filter(isShown).map(asBlock));
      this.#tail = this.#tail.slice(final.reduce((length, { raw }) => length + raw.length, 0));
      const fence = isEnd ? undefined : openFence(token);
      if (fence !== undefined) {
        this.#fence = { ...fence, pieces: [] };
        this.#tail = this.#tail.slice(fence.head);
        this.#readFence(this.#fence, false);
        return false;
      }
    }
    const open = lex(this.#tail).filter(isShown);
    const [first] = open;
    if (first !== undefined && this.#divide(first)) return true;
    this.open = open.map(asBlock);
    return false;
  }

  /** Closes the beginning of a block that has become long. */
  #divide(token: Token): boolean {
    if (this.#tail.length <= PARAGRAPH_PART) return false;
    if (token.type === 'list' && (token as Tokens.List).items.length > 1) {
      const list = token as Tokens.List;
      const item = list.items.at(-1) as Tokens.ListItem;
      const at = this.#tail.lastIndexOf(item.raw);
      if (at > 0) {
        this.#close([{ kind: 'token', token: { ...list, items: list.items.slice(0, -1) }, continues: true }]);
        this.#tail = this.#tail.slice(at);
        return true;
      }
    }
    if (token.type === 'paragraph') {
      const at = placeToCut(this.#tail, PARAGRAPH_PART);
      const parts = lex(this.#tail.slice(0, at)).filter(isShown).map(asBlock);
      this.#close(
        parts.map((block, place) =>
          block.kind === 'token' && place === parts.length - 1 ? { ...block, continues: true } : block,
        ),
      );
      this.#tail = this.#tail.slice(at);
      return true;
    }
    if (this.#tail.length <= OPEN_AT_MOST) return false;
    const at = placeToCut(this.#tail, OPEN_AT_MOST);
    this.#close([{ kind: 'plain', text: this.#tail.slice(0, at) }]);
    this.#tail = this.#tail.slice(at);
    return true;
  }

  #close(blocks: readonly Block[]): void {
    for (const block of blocks) {
      const last = this.sections.at(-1);
      if (last === undefined || last.length >= SECTION) this.sections.push([block]);
      else this.sections[this.sections.length - 1] = [...last, block];
    }
  }
}

/** As it is written; of code without its fences. */
export function textOf(block: Block): string {
  if (block.kind === 'token') return block.token.raw;
  return block.kind === 'code' ? block.pieces.join('') : block.text;
}

/** All blocks of a whole text. */
export function blocksOf(text: string): readonly Block[] {
  const markdown = new IncrementalMarkdown();
  markdown.push(text);
  markdown.end();
  return markdown.sections.flat();
}

/** A line that begins with more marks of quotes and lists than people nest: reading it costs marked their number cubed. */
const NESTED_TOO_DEEP = /^[ \t]*(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+){13}/m;

/** Blocks, whose texts are together the whole text. What nests too deep is not read: up to the next empty line it stays as it is written. */
function lex(text: string): Token[] {
  const tokens: Token[] = [];
  let rest = text;
  for (;;) {
    const at = rest.search(NESTED_TOO_DEEP);
    if (at === -1) break;
    const blankAt = rest.indexOf('\n\n', at);
    const end = blankAt === -1 ? rest.length : blankAt + 2;
    if (at > 0) tokens.push(...read(rest.slice(0, at)));
    tokens.push(asWritten(rest.slice(at, end)));
    rest = rest.slice(end);
  }
  if (rest !== '') tokens.push(...read(rest));
  return tokens;
}

function read(text: string): Token[] {
  try {
    const lexer = new Lexer({ gfm: true });
    lexer.tokens.links = NO_REFERENCES;
    return lexer.lex(text);
  } catch {
    // It recurses, and the stack has an end.
    return [asWritten(text)];
  }
}

/**
 * Models write references first and what they refer to at the end, when the text before is closed: nothing is looked up, and all
 * definitions are shown. Takes what is set, and has nothing.
 */
const NO_REFERENCES: Lexer['tokens']['links'] = new Proxy({}, { set: () => true });

const AS_WRITTEN = 'as-written';

function asWritten(text: string): Tokens.Generic {
  return { type: AS_WRITTEN, raw: text, text };
}

function isShown({ type }: Token): boolean {
  return type !== 'space';
}

/** Of what is shown; -1: nothing is. */
function lastOf(tokens: readonly Token[]): number {
  return tokens.findLastIndex(isShown);
}

function asBlock(token: Token): Block {
  if (token.type === AS_WRITTEN) return { kind: 'plain', text: token.raw };
  if (token.type !== 'code') return { kind: 'token', token };
  const { text, lang = '' } = token as Tokens.Code;
  const pieces: string[] = [];
  for (const line of text.split(/(?<=\n)/)) addLine(pieces, line);
  return { kind: 'code', language: languageOf(lang), pieces, complete: true };
}

/** Of a fence that has not ended yet: how it began. `head`: characters before its code. */
function openFence({ type, raw }: Token): (Omit<Fence, 'pieces'> & { readonly head: number }) | undefined {
  if (type !== 'code') return undefined;
  const [head, indent = '', mark = '', info = ''] = FENCE.exec(raw) ?? [];
  if (head === undefined) return undefined;
  const lines = raw.slice(head.length).trimEnd();
  if (closesFence(lines.slice(lines.lastIndexOf('\n') + 1), mark)) return undefined;
  return { mark, indent: indent.length, language: languageOf(info), head: head.length };
}

function closesFence(line: string, mark: string): boolean {
  const text = line.trim();
  return (
    text.length >= mark.length &&
    text.startsWith(mark) &&
    text === (mark[0] ?? '').repeat(text.length) &&
    /^ {0,3}\S/.test(line)
  );
}

function codeBlock({ language, pieces }: Fence, rest: string, complete: boolean): CodeBlock {
  const all = rest === '' ? [...pieces] : [...pieces, rest];
  if (complete && all.length > 0) all[all.length - 1] = (all.at(-1) ?? '').replace(/\n$/, '');
  return { kind: 'code', language, pieces: all, complete };
}

function addLine(pieces: string[], line: string): void {
  const last = pieces.at(-1);
  if (last === undefined || last.length + line.length > CODE_PIECE) pieces.push(line);
  else pieces[pieces.length - 1] = last + line;
}

function withoutIndent(line: string, indent: number): string {
  let at = 0;
  while (at < indent && line[at] === ' ') at += 1;
  return line.slice(at);
}

function languageOf(info: string): string {
  return info.trim().split(/\s/, 1)[0]?.toLowerCase() ?? '';
}

/** After the last end of a line, or of a word, before `most`. */
function placeToCut(text: string, most: number): number {
  const line = text.lastIndexOf('\n', most - 1);
  if (line > most / 2) return line + 1;
  const word = text.lastIndexOf(' ', most - 1);
  if (word > most / 2) return word + 1;
  // Not within a pair of surrogates.
  const code = text.charCodeAt(most - 1);
  return code >= 0xd800 && code <= 0xdbff ? most - 1 : most;
}
