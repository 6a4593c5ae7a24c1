import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenDecoder } from '../../../../../src/backends/llama-cpp/engine/token-decoder.ts';

/** A token is the bytes of a hexadecimal number behind a leading 1: 0x1f09f is the bytes f0 9f. */
const bytesOf = (token: number) => Buffer.from(token.toString(16).slice(1), 'hex');
const tokenOf = (bytes: Uint8Array) => Number.parseInt(`1${Buffer.from(bytes).toString('hex')}`, 16);
const text = (tokens: readonly number[]) => Buffer.concat(tokens.map(bytesOf)).toString('utf8');
const byteModel = {
  detokenize: (tokens: readonly number[], _special?: boolean, before: readonly number[] = []) =>
    text([...before, ...tokens]).slice(text(before).length),
};

function decode(pieces: readonly Uint8Array[]): string[] {
  const decoder = new TokenDecoder(byteModel, []);
  return pieces.map((bytes) => decoder.push(tokenOf(bytes)));
}

const utf8 = (string: string) => Buffer.from(string);

describe('TokenDecoder', () => {
  it('gives whole tokens at once', () => {
    expect(decode([utf8('Hello'), utf8(' wör')])).toEqual(['Hello', ' wör']);
  });

  it('waits for the rest of a character, but not with the text before it', () => {
    const emoji = utf8('😀');
    expect(
      decode([Buffer.concat([utf8('a'), emoji.subarray(0, 2)]), emoji.subarray(2, 3), emoji.subarray(3)]),
    ).toEqual(['a', '', '😀']);
  });

  it('drops bytes that are no character', () => {
    expect(decode([Buffer.from([0xf0, 0x9f]), utf8('ok')]).join('')).toBe('ok');
  });

  it('gives every character exactly once, however tokens cut through them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', 'é', '漢', '😀', '👩‍🚀')),
        fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
        (characters, sizes) => {
          const bytes = utf8(characters.join(''));
          const pieces: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += pieces.at(-1)?.length ?? 0)
            pieces.push(bytes.subarray(at, at + sizes.next().value));
          const decoded = decode(pieces);
          expect(decoded.join('')).toBe(characters.join(''));
          expect(decoded.join('|')).not.toContain('\uFFFD');
        },
      ),
    );
  });

  it('shows the tokenizer what came before, so that a leading space is kept', () => {
    const sentencePiece = {
      detokenize: (tokens: readonly number[], _special?: boolean, before: readonly number[] = []) =>
        before.length === 0 ? 'word'.repeat(tokens.length) : ' word'.repeat(tokens.length),
    };
    expect(new TokenDecoder(sentencePiece, [1, 2]).push(3)).toBe(' word');
  });
});
