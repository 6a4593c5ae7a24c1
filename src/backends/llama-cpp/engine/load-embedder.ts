/** Makes an embedder of a model whose file says how it pools. Throws an Error whose message a user can act on. */
import type { EngineEvent } from '../messages.ts';
import { Embedder } from './embedder.ts';
import { encodeInput } from './embedding-input.ts';
import type { EmbeddingModel } from './embedding-library.ts';
import { nativeContextOf } from './native.ts';
import type { Pooling } from './pooling.ts';
import { TextVectors } from './text-vectors.ts';
import { ThreadGovernor } from './thread-governor.ts';

export interface EmbedderSettings {
  readonly modelPath: string;
  readonly pooling: Pooling;
  /** Tokens of a text at most. */
  readonly contextSize: number;
  readonly threads: number;
  readonly vocabularySize: number;
  readonly emit: (events: readonly EngineEvent[]) => void;
  readonly onStep: () => void;
}

export async function loadEmbedder(model: EmbeddingModel, settings: EmbedderSettings): Promise<Embedder> {
  const { modelPath, pooling, contextSize, threads, vocabularySize, emit, onStep } = settings;
  if (pooling === 'rank') {
    throw new Error(
      `The model file ${modelPath} is a reranker (pooling: rank): it neither generates nor embeds. ` +
        'Give a file whose pooling is mean, cls or last to embed, or one without to generate.',
    );
  }
  const context = await model.createContext({
    contextSize,
    // One text at a time: pooled vectors can be read of one sequence only.
    sequences: 1,
    // A text is pooled as a whole only when all its tokens are in one batch.
    batchSize: contextSize,
    threads,
    flashAttention: false,
    failedCreationRemedy: false,
    _embeddings: true,
  });
  const vectors = new TextVectors(nativeContextOf(context), new ThreadGovernor(threads));
  // A device that cannot compute fails here, before the engine says that it is ready.
  await vectors.of([0]);
  return new Embedder({
    encode: (input) => encodeInput(model, vocabularySize, input),
    vectorOf: (tokens) => vectors.of(tokens),
    contextSize,
    emit,
    onStep,
  });
}
