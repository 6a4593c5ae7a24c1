import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConversationRejectedError } from '../../../../../src/backends/llama-cpp/engine/chat-template.ts';
import {
  badWordTokens,
  createTokenizerHandler,
  TokenDecoder,
} from '../../../../../src/backends/llama-cpp/engine/vocabulary.ts';
import type { EngineEvent, TokenizerRequest } from '../../../../../src/backends/llama-cpp/messages.ts';

describe('vocabulary', () => {
  const TEXT = { kind: 'text', prompt: 'ab' } as const;

  function answer(question: TokenizerRequest, encode: () => readonly number[] = () => [97, 98]) {
    const detokenize = (tokens: readonly number[], special?: boolean) =>
      String.fromCodePoint(...tokens) + (special ? '' : ' without special tokens');
    const events: EngineEvent[] = [];
    let steps = 0;
    const ask = createTokenizerHandler({
      model: { detokenize },
      vocabularySize: 100,
      encode,
      emit: (told) => events.push(...told),
      onStep: () => {
        steps += 1;
      },
    });
    ask({ ...question, id: 7 });
    expect([events.length, steps]).toEqual([1, 1]);
    expect(events[0]?.id).toBe(7);
    return events[0]?.event;
  }

  describe('a question about the vocabulary', () => {
    it('is answered with tokens', () => {
      expect(answer({ type: 'tokenize', input: TEXT })).toEqual({ type: 'tokenized', tokens: [97, 98] });
    });

    it('is answered with text, special tokens in it', () => {
      expect(answer({ type: 'detokenize', tokens: [97, 98] })).toEqual({
        type: 'detokenized',
        text: 'ab',
      });
    });

    it.each([100, -1, 0.5])('is refused for %s, which is no token', (token) => {
      expect(answer({ type: 'detokenize', tokens: [97, token] })).toEqual({
        type: 'failed',
        code: 'invalid_request',
        param: 'tokens',
        message: expect.stringContaining(`tokens names token ${token}, but this model’s tokens are 0 to 99.`),
      });
    });

    it('is refused where the template refuses the messages, and fails where the engine does', () => {
      const failing = (thrown: Error) => () => {
        throw thrown;
      };
      expect(
        answer({ type: 'tokenize', input: TEXT }, failing(new ConversationRejectedError('no'))),
      ).toMatchObject({
        code: 'invalid_request',
        param: 'messages',
      });
      expect(answer({ type: 'tokenize', input: TEXT }, failing(new Error('oops')))).toMatchObject({
        code: 'backend_error',
        message: 'The engine could not read it: oops',
      });
    });
  });
});

describe('bad words', () => {
  /** Each word with the blank before it is a token: its length, negative with a blank; unknown blanks are tokens of their own. */
  const model = (joins: boolean) => ({
    tokenize: (text: string) => {
      const words = text.match(joins ? / ?[^ ]+/g : / |[^ ]+/g) ?? [];
      return words.map((word) => (word.startsWith(' ') && word !== ' ' ? -word.length : word.length));
    },
  });

  describe('tokens of words that never come', () => {
    it('are those of the word at the beginning and within a text', () => {
      expect(badWordTokens(['fox', 'red fox'], model(true))).toEqual([[3], [-4], [3, -4], [-4, -4]]);
    });

    it('are those at the beginning alone where a blank is a token by itself', () => {
      expect(badWordTokens(['fox'], model(false))).toEqual([[3]]);
    });

    it('do not depend on blanks that the client has put in front', () => {
      expect(badWordTokens([' fox'], model(true))).toEqual(badWordTokens(['fox'], model(true)));
      expect(badWordTokens([' '], model(true))).toEqual([]);
    });
  });
});

describe('token decoder', () => {
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
});
