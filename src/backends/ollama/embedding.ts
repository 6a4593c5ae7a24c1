/** Embeddings in the words of Ollama's native API, which gives vectors of length 1. Pure. */
import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import { asArray, asCount, asObject } from '../../upstream/lenient.ts';
import { readVectors } from '../../upstream/vectors.ts';
import type { ModelSettings } from './request-body.ts';

export interface EmbedCall {
  readonly path: '/api/embed';
  readonly body: Readonly<Record<string, unknown>>;
}

/** Without a text it loads the model and answers when that is in memory. */
export function loadEmbedderCall(settings: ModelSettings): EmbedCall {
  return callFor({ input: [] }, settings);
}

export function embedCall(
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
  settings: ModelSettings,
): EmbedCall {
  if (!inputs.every((input) => typeof input === 'string')) throw cannotReadTokens();
  return callFor({ input: inputs, ...(dimensions !== undefined && { dimensions }) }, settings);
}

/** Old releases do not know `dimensions`, and none makes a vector longer than the model's: both give the model's own. */
export function readEmbeddings(
  body: unknown,
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
): Embeddings {
  const { embeddings, prompt_eval_count } = asObject(body);
  const vectors = readVectors(asArray(embeddings), inputs.length);
  const size = vectors[0]?.length;
  if (dimensions !== undefined && size !== dimensions)
    throw unsupported('dimensions', 'this model on its Ollama server', {
      advice: `Its vectors have ${size} numbers.`,
    });
  return { vectors, promptTokens: asCount(prompt_eval_count) ?? 0 };
}

function callFor(asked: Readonly<Record<string, unknown>>, settings: ModelSettings): EmbedCall {
  const { model, keepAlive, contextSize } = settings;
  const options = contextSize === undefined ? {} : { options: { num_ctx: contextSize } };
  // A text that is too long is to be refused, not cut.
  return {
    path: '/api/embed',
    body: { model, ...asked, keep_alive: keepAlive, truncate: false, ...options },
  };
}

function cannotReadTokens(): ServingError {
  return new ServingError('unsupported_parameter', {
    message:
      'input has tokens, but the ollama backend, which serves this model, embeds text only. Send the text.',
    param: 'input',
  });
}
