/**
 * Tokenizes long texts in chunks. llama.cpp copies the whole text for each special token that it finds in it, so a text
 * full of them would hold the engine up for minutes. Invariant: the tokens are those of the whole text at once.
 */
import type { Model, Token } from './library.ts';

/** UTF-16 units; a piece without special tokens is never cut, however long. */
const CHUNK = 1024;

export type Tokenize = (text: string, specialTokens: boolean) => Token[];

type ReadModel = Pick<Model, 'tokenize' | 'detokenize' | 'getTokenAttributes' | 'iterateAllTokens'>;

/** Where a token is found whatever stands around it, what is before and after it is tokenized by itself. */
export function chunkedTokenize(model: ReadModel): Tokenize {
  const borders = borderPatterns(model);
  return (text, specialTokens) => {
    const border = borders[specialTokens ? 'special' : 'plain'];
    if (border === undefined || text.length <= CHUNK) return model.tokenize(text, specialTokens);
    const tokens: Token[] = [];
    let chunk = '';
    const flush = () => {
      if (chunk !== '') for (const token of model.tokenize(chunk, specialTokens)) tokens.push(token);
      chunk = '';
    };
    // With a capturing group, split() gives what is between the borders and the borders in turn.
    for (const piece of text.split(border)) {
      if (chunk.length + piece.length > CHUNK) flush();
      chunk += piece;
    }
    flush();
    return tokens;
  };
}

interface Found {
  readonly text: string;
  /** Only where special tokens are wanted. */
  readonly special: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

interface BorderPatterns {
  readonly special: RegExp | undefined;
  readonly plain: RegExp | undefined;
}

/** Of the tokens that llama.cpp looks for before all else, those that share no text with another one. */
function borderPatterns(model: ReadModel): BorderPatterns {
  const found = new Map<string, Found>();
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
  // Those that take the white space before them with them would need it in their chunk.
  const borders = [...found.values()].filter(
    ({ text, lstrip }) =>
      !lstrip &&
      joined.indexOf(text) === joined.lastIndexOf(text) &&
      !cuts(text).some((at) => beginnings.has(text.slice(at)) || ends.has(text.slice(0, at))),
  );
  return { special: patternOf(borders), plain: patternOf(borders.filter(({ special }) => !special)) };
}

/** Where a text can be cut in two. */
function cuts(text: string): number[] {
  return Array.from({ length: text.length - 1 }, (_, index) => index + 1);
}

function patternOf(borders: readonly Found[]): RegExp | undefined {
  if (borders.length === 0) return undefined;
  const alternatives = borders.map(({ text, rstrip }) => {
    const literal = text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return rstrip ? `${literal}[ \\t\\n\\v\\f\\r]*` : literal;
  });
  return new RegExp(`(${alternatives.join('|')})`, 'g');
}
