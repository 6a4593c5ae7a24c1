/**
 * The bytes that a token stands for. A vocabulary writes them as text in a way of its own: byte-pair vocabularies have a
 * printable character for each byte, SentencePiece ones a mark for the space and `<0xNN>` for a byte that is no text.
 */
import type { Model, Token } from './library.ts';
import { nativeModelOf } from './native.ts';

export type TokenBytes = (token: Token) => readonly number[];

const SPACE_MARK = '\u2581';
const BYTE_TOKEN = /^<0x([0-9A-F]{2})>$/i;

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
  // Some added tokens are plain text with characters that stand for no byte.
  return [...text].flatMap((character) => BYTE_OF_CHARACTER.get(character) ?? utf8(character));
}

const READERS: Readonly<Partial<Record<Model['vocabularyType'], (text: string) => readonly number[]>>> = {
  bpe: readBytePairs,
  spm: readSentencePiece,
};

/** As GPT-2 has it: printable bytes stand for themselves, the others for the characters from U+0100 on, in their order. */
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
