import { describe, expect, it } from 'vitest';
import type { EmbeddingInput } from '../../../src/core/backend.ts';
import { EmbeddingPieces } from '../../../src/upstream/embedding-pieces.ts';
import { MAX_JSON_BYTES, TooLongAnswer } from '../../../src/upstream/upstream.ts';

const texts = (count: number): string[] => Array.from({ length: count }, (_, place) => String(place));

/** A server whose answer has so many bytes for each text; the vector of each is its own number. */
function serverWith(bytesPerText: number) {
  const asked: number[] = [];
  const refused: number[] = [];
  const ask = async (piece: readonly EmbeddingInput[]) => {
    const sizeBytes = piece.length * bytesPerText;
    if (sizeBytes > MAX_JSON_BYTES) {
      refused.push(piece.length);
      throw new TooLongAnswer(MAX_JSON_BYTES);
    }
    asked.push(piece.length);
    return { vectors: piece.map((text) => [Number(text)]), promptTokens: piece.length * 3, sizeBytes };
  };
  return { asked, refused, ask };
}

describe('texts to embed, in pieces', () => {
  it.each([
    ['1024 numbers', 1024 * 20],
    ['4096 numbers', 4096 * 20],
    ['8192 numbers', 8192 * 22],
    ['1024 numbers in base64', 1024 * 5.4],
  ])(
    'embeds 2048 texts as vectors of %s, in order, with no answer that is too long',
    async (_, bytesPerText) => {
      const { asked, refused, ask } = serverWith(bytesPerText);
      const { vectors, promptTokens } = await new EmbeddingPieces().embed(texts(2048), ask);
      expect(vectors.map(([number]) => number)).toEqual(texts(2048).map(Number));
      expect(promptTokens).toBe(2048 * 3);
      expect(refused).toEqual([]);
      expect(asked.length).toBeLessThan(40);
    },
  );

  it('asks for as many at once as fit, once it knows how long the answers are', async () => {
    const { asked, ask } = serverWith(1024 * 20);
    const pieces = new EmbeddingPieces();
    await pieces.embed(texts(64), ask);
    await pieces.embed(texts(512), ask);
    expect(asked).toEqual([64, 512]);
  });

  it('asks in smaller pieces where an answer was too long, and from then on', async () => {
    const { asked, refused, ask } = serverWith(1_000_000);
    const pieces = new EmbeddingPieces();
    const { vectors } = await pieces.embed(texts(100), ask);
    expect(vectors.map(([number]) => number)).toEqual(texts(100).map(Number));
    expect(refused.length).toBeLessThan(5);
    const before = refused.length;
    expect(Math.max(...asked)).toBeLessThanOrEqual(16);
    await pieces.embed(texts(100), ask);
    expect(refused).toHaveLength(before);
  });

  it('fails where the answer to one text is too long, or vectors have several lengths', async () => {
    const endless = serverWith(MAX_JSON_BYTES + 1);
    await expect(new EmbeddingPieces().embed(texts(3), endless.ask)).rejects.toMatchObject({
      code: 'backend_error',
      failure: 'garbage',
    });
    let length = 0;
    const changing = async (piece: readonly EmbeddingInput[]) => {
      length += 1;
      return { vectors: piece.map(() => Array(length).fill(0)), promptTokens: 1, sizeBytes: MAX_JSON_BYTES };
    };
    await expect(new EmbeddingPieces().embed(texts(500), changing)).rejects.toMatchObject({
      code: 'backend_error',
    });
  });
});
