/** Embeddings in the words of the OpenAI API. Whether vectors have length 1 is the server's choice; most see to it. Pure. */
import type { EmbeddingRequest, Embeddings } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import { asArray, asCount, asObject, asText } from '../../upstream/lenient.ts';
import type { JsonAnswer } from '../../upstream/upstream.ts';
import { readVectors } from '../../upstream/vectors.ts';
import { errorObject } from './context-error.ts';

export const EMBEDDINGS_PATH = '/v1/embeddings';

export function embedBody(
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
  model: string,
): Readonly<Record<string, unknown>> {
  return {
    model,
    input: inputs,
    encoding_format: 'float',
    ...(dimensions !== undefined && { dimensions }),
  };
}

/** The order is told by `index`, where it is given. */
export function readEmbeddings(
  body: unknown,
  { inputs, dimensions }: Pick<EmbeddingRequest, 'inputs' | 'dimensions'>,
): Embeddings {
  const { data, usage } = asObject(body);
  const entries = asArray(data).map((entry, place) => {
    const { index, embedding } = asObject(entry);
    return { index: asCount(index) ?? place, embedding };
  });
  entries.sort((one, other) => one.index - other.index);
  const vectors = readVectors(
    entries.map(({ embedding }) => embedding),
    inputs.length,
  );
  // Some servers do not read the field.
  if (dimensions !== undefined && vectors.some(({ length }) => length !== dimensions)) throw keepsItsLength();
  return { vectors, promptTokens: asCount(asObject(usage).prompt_tokens) ?? 0 };
}

/** The server says that the model's vectors cannot be cut. */
export function cannotCut({ status, body }: JsonAnswer): ServingError | undefined {
  const message = asText(errorObject(body).message) ?? '';
  return status === 400 && /does not support matryoshka/i.test(message) ? keepsItsLength() : undefined;
}

function keepsItsLength(): ServingError {
  return unsupported('dimensions', 'this model, whose vectors have one length', { advice: 'Leave it away.' });
}

/** The server has no such route, or has it for other models only. */
export function cannotEmbed({ status, body }: JsonAnswer): ServingError | undefined {
  const { message } = errorObject(body);
  const lacksRoute = status === 405 || status === 501 || (status === 404 && message === undefined);
  if (!lacksRoute && !/does not support embeddings/i.test(asText(message) ?? '')) return undefined;
  return new ServingError('invalid_request', {
    message: 'The server behind this model makes no embeddings of it. Name a model whose server does.',
    param: 'model',
    cause: new Error(`The server answered ${status}: ${asText(message) ?? 'no reason given'}`),
  });
}
