/**
 * Between text and the tokens of the model's vocabulary, in both directions: tokenizing, the text and the bytes of
 * tokens, and the answers to tokenizer requests. Pure, but for the model.
 */
import type { TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EngineEvent, EngineReport, EngineTokenizerRequest } from '../messages.ts';
import { failedEvent } from './engine-worker.ts';
import { type Model, nativeModelOf, type Token } from './library.ts';

/** UTF-16 units. A piece without special tokens is never cut, however long it is. */
const CHUNK_LENGTH = 1024;

export type Tokenize = (text: string, specialTokens: boolean) => Token[];

type TokenizingModel = Pick<Model, 'tokenize' | 'detokenize' | 'getTokenAttributes' | 'iterateAllTokens'>;

/**
 * Tokenizes long texts in chunks. llama.cpp copies the whole text for each special token that it finds in it, so a text
 * full of them would block the engine for minutes. Invariant: the tokens are those of the whole text at once. Chunks end
 * at tokens that are found whatever stands around them, so that the text before and after is tokenized by itself.
 */
export function chunkedTokenize(model: TokenizingModel): Tokenize {
  const borders = borderPatterns(model);
  return (text, specialTokens) => {
    const border = borders[specialTokens ? 'special' : 'plain'];
    if (border === undefined || text.length <= CHUNK_LENGTH) return model.tokenize(text, specialTokens);
    const tokens: Token[] = [];
    let chunk = '';
    const flush = () => {
      if (chunk !== '') for (const token of model.tokenize(chunk, specialTokens)) tokens.push(token);
      chunk = '';
    };
    // With a capturing group, split() returns the text between borders and the borders alternately.
    for (const piece of text.split(border)) {
      if (chunk.length + piece.length > CHUNK_LENGTH) flush();
      chunk += piece;
    }
    flush();
    return tokens;
  };
}

interface SpecialToken {
  readonly text: string;
  /** Found only if special tokens are parsed. */
  readonly special: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

interface BorderPatterns {
  readonly special: RegExp | undefined;
  readonly plain: RegExp | undefined;
}

/** Of the tokens that llama.cpp looks for first, those that share no text with another one. */
function borderPatterns(model: TokenizingModel): BorderPatterns {
  const found = new Map<string, SpecialToken>();
  for (const token of model.iterateAllTokens()) {
    const { control, unknown, userDefined, lstrip, rstrip } = model.getTokenAttributes(token);
    if (!control && !unknown && !userDefined) continue;
    const text = model.detokenize([token], true);
    if (text !== '') found.set(text, { text, special: control || unknown, lstrip, rstrip });
  }
  const texts = [...found.keys()];
  const joined = texts.join('\0');
  const beginnings = new Set(texts.flatMap((text) => cuts(text).map((at) => text.slice(0, at))));
  const ends = new Set(texts.flatMap((text) => cuts(text).map((at) => text.slice(at))));
  // A token that includes the white space before it would need that in its chunk.
  const borders = [...found.values()].filter(
    ({ text, lstrip }) =>
      !lstrip &&
      joined.indexOf(text) === joined.lastIndexOf(text) &&
      !cuts(text).some((at) => beginnings.has(text.slice(at)) || ends.has(text.slice(0, at))),
  );
  return { special: patternOf(borders), plain: patternOf(borders.filter(({ special }) => !special)) };
}

/** The places where a text can be cut in two. */
function cuts(text: string): number[] {
  return Array.from({ length: text.length - 1 }, (_, index) => index + 1);
}

function patternOf(borders: readonly SpecialToken[]): RegExp | undefined {
  if (borders.length === 0) return undefined;
  const alternatives = borders.map(({ text, rstrip }) => {
    const literal = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return rstrip ? `${literal}[ \\t\\n\\v\\f\\r]*` : literal;
  });
  return new RegExp(`(${alternatives.join('|')})`, 'g');
}

/**
 * The tokens of words that must not come in an answer, chosen as vLLM does: each word as it is written at the beginning
 * of a text, and with a blank in front of it, if that gives another first token and as many tokens in all.
 */
export function badWordTokens(words: readonly string[], model: Pick<Model, 'tokenize'>): readonly Token[][] {
  return words.flatMap((word) => {
    const bare = word.trimStart();
    const first = model.tokenize(bare, false);
    const within = model.tokenize(` ${bare}`, false);
    const isOther = within[0] !== first[0] && within.length === first.length;
    return [first, ...(isOther ? [within] : [])].filter((tokens) => tokens.length > 0);
  });
}

/** Throws `invalid_request` for the first id outside of the vocabulary, which native code would not survive. `param`: the field that names it. */
export function requireKnownTokens(tokens: readonly Token[], vocabularySize: number, param: string): void {
  const unknown = tokens.find((token) => !Number.isInteger(token) || token < 0 || token >= vocabularySize);
  if (unknown === undefined) return;
  const message =
    `${param} names token ${unknown}, but this model’s tokens are 0 to ${vocabularySize - 1}. ` +
    'Token ids are those of the model’s own vocabulary.';
  throw new ServingError('invalid_request', { message, param });
}

const REPLACEMENT = '\uFFFD';
/** An incomplete character is at most three bytes long, each token at least one. */
const MAX_INCOMPLETE_TOKENS = 4;
/** Some tokenizers write a token differently at the start of a text, so they get the tokens before it. */
const TOKENS_BEFORE = 3;

/**
 * Turns tokens into text as they come. A token may end within a character, which then waits for the rest. Invariant: no
 * U+FFFD and no half of a character leaves; bytes that are not UTF-8 are dropped.
 */
export class TokenDecoder {
  readonly #model: Pick<Model, 'detokenize'>;
  /** Tokens whose text is settled. */
  #before: Token[];
  /** Tokens of which the last character is not complete. */
  #open: Token[] = [];
  /** How much of the open tokens' text has been returned. */
  #emitted = 0;

  constructor(model: Pick<Model, 'detokenize'>, precedingTokens: readonly Token[]) {
    this.#model = model;
    this.#before = precedingTokens.slice(-TOKENS_BEFORE);
  }

  push(token: Token): string {
    this.#open.push(token);
    const text = this.#detokenize();
    // Of an incomplete character the text shows exactly one replacement character, at its very end.
    const end = text.endsWith(REPLACEMENT) ? text.length - 1 : text.length;
    const piece = text.slice(this.#emitted, end);
    if (end === text.length) this.#settle(this.#open.length);
    else this.#emitted = end;
    if (this.#open.length > MAX_INCOMPLETE_TOKENS) {
      this.#settle(this.#open.length - MAX_INCOMPLETE_TOKENS);
      this.#emitted = this.#detokenize().length - 1;
    }
    return piece.includes(REPLACEMENT) ? piece.replaceAll(REPLACEMENT, '') : piece;
  }

  #detokenize(): string {
    return this.#model.detokenize(this.#open, false, this.#before);
  }

  #settle(count: number): void {
    this.#before = [...this.#before, ...this.#open.slice(0, count)].slice(-TOKENS_BEFORE);
    this.#open = this.#open.slice(count);
    this.#emitted = 0;
  }
}

export type TokenBytes = (token: Token) => readonly number[];

const SPACE_MARK = '\u2581';
const BYTE_TOKEN = /^<0x([0-9A-F]{2})>$/i;

/**
 * The bytes of a token. Vocabularies write them as text, each kind in its own way: byte-pair vocabularies have a
 * printable character for each byte, SentencePiece ones a mark for the space and `<0xNN>` for a byte that is no text.
 */
export function tokenBytes(model: Model): TokenBytes {
  const native = nativeModelOf(model);
  const read = READERS[model.vocabularyType];
  return (token) => {
    const isText = read !== undefined && !model.getTokenAttributes(token).control;
    return isText ? read(native.getTokenString(token)) : utf8(model.detokenize([token], true));
  };
}

function readSentencePiece(text: string): readonly number[] {
  const byte = BYTE_TOKEN.exec(text)?.[1];
  return byte === undefined ? utf8(text.replaceAll(SPACE_MARK, ' ')) : [Number.parseInt(byte, 16)];
}

function readBytePairs(text: string): readonly number[] {
  // Some added tokens are plain text, with characters that stand for no byte.
  return [...text].flatMap((character) => BYTE_OF_CHARACTER.get(character) ?? utf8(character));
}

const READERS: Readonly<Partial<Record<Model['vocabularyType'], (text: string) => readonly number[]>>> = {
  bpe: readBytePairs,
  spm: readSentencePiece,
};

/** As in GPT-2: printable bytes stand for themselves, the others for the characters from U+0100 on, in their order. */
const BYTE_OF_CHARACTER: ReadonlyMap<string, number> = byteCharacters();

function byteCharacters(): Map<string, number> {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  const characters = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 0x100; byte += 1) {
    characters.set(String.fromCharCode(isPrintable(byte) ? byte : next++), byte);
  }
  return characters;
}

function utf8(text: string): readonly number[] {
  return [...new TextEncoder().encode(text)];
}

/** The result, or the failure, is emitted before it returns: between two steps. */
export type TokenizerHandler = (request: EngineTokenizerRequest) => void;

interface TokenizerHandlerOptions {
  readonly model: Pick<Model, 'detokenize'>;
  readonly vocabularySize: number;
  /** The tokens of a prompt; throws if it cannot be read. */
  readonly encode: (request: TokenizeRequest) => readonly Token[];
  readonly emit: (events: readonly EngineEvent[]) => void;
  /** Called for each request: the engine makes progress even while it does nothing else. */
  readonly onStep: () => void;
}

export function createTokenizerHandler(options: TokenizerHandlerOptions): TokenizerHandler {
  return (request) => {
    options.emit([{ id: request.id, event: resultOf(request, options) }]);
    options.onStep();
  };
}

function resultOf(
  request: EngineTokenizerRequest,
  { model, vocabularySize, encode }: TokenizerHandlerOptions,
): EngineReport {
  try {
    switch (request.type) {
      case 'tokenize':
        return { type: 'tokenized', tokens: encode(request) };
      case 'detokenize':
        requireKnownTokens(request.tokens, vocabularySize, 'tokens');
        return { type: 'detokenized', text: model.detokenize(request.tokens, true) };
      default:
        return request satisfies never;
    }
  } catch (thrown) {
    return failedEvent(thrown, 'read it');
  }
}
