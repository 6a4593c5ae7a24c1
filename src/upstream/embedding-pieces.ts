/**
 * Many texts to embed, asked for in pieces: the answer to each fits into what is read of one answer, so that memory is bounded whatever
 * the number of texts and the length of the vectors. Owned by one backend; what it learns is how long answers are for each text.
 */
import type { EmbeddingInput, Embeddings } from '../core/backend.ts';
import { ServingError } from '../core/errors.ts';
import { MAX_JSON_BYTES, TooLongAnswer } from './upstream.ts';

interface AnsweredPiece extends Embeddings {
  /** Of the answer as it came. */
  readonly sizeBytes: number;
}

/** Until the first answer: vectors of 8192 numbers, each with all its digits. */
const ASSUMED_BYTES_PER_TEXT = 8192 * 22;
/** Numbers are not all written with as many digits. */
const MARGIN = 1.25;

export class EmbeddingPieces {
  /** The most so far: a client may ask for shorter vectors than the next one. */
  #bytesPerText: number | undefined;

  /** `ask` rejects with a `TooLongAnswer` where the piece was too large: its texts are asked for again, in smaller ones. */
  async embed(
    inputs: readonly EmbeddingInput[],
    ask: (piece: readonly EmbeddingInput[]) => Promise<AnsweredPiece>,
  ): Promise<Embeddings> {
    const vectors: (readonly number[])[] = [];
    let promptTokens = 0;
    while (vectors.length < inputs.length) {
      const piece = inputs.slice(vectors.length, vectors.length + this.#textsPerPiece);
      const answered = await ask(piece).catch((thrown: unknown) => {
        if (!(thrown instanceof TooLongAnswer) || piece.length === 1) throw thrown;
        this.#learn((2 * MAX_JSON_BYTES) / piece.length);
      });
      if (answered === undefined) continue;
      this.#learn((answered.sizeBytes * MARGIN) / piece.length);
      if (vectors[0] !== undefined && vectors[0].length !== answered.vectors[0]?.length)
        throw changedLength();
      for (const vector of answered.vectors) vectors.push(vector);
      promptTokens += answered.promptTokens;
    }
    return { vectors, promptTokens };
  }

  get #textsPerPiece(): number {
    return Math.max(1, Math.floor(MAX_JSON_BYTES / (this.#bytesPerText ?? ASSUMED_BYTES_PER_TEXT)));
  }

  #learn(bytesPerText: number): void {
    this.#bytesPerText = Math.max(this.#bytesPerText ?? 0, bytesPerText);
  }
}

/** The server has another model now. */
function changedLength(): ServingError {
  return new ServingError('backend_error', {
    message: 'The model’s backend answered with vectors of several lengths.',
    failure: 'garbage',
  });
}
