/** Embeddings as upstreams answer them: what is missing or no vector is their fault, and never passed on. */
import { ServingError } from '../core/errors.ts';
import { asArray } from './lenient.ts';

/** One vector for each of `count` texts, all of one length. */
export function readVectors(answered: readonly unknown[], count: number): readonly (readonly number[])[] {
  const vectors = answered.map((vector) => asArray(vector) as readonly number[]);
  const size = vectors[0]?.length;
  const isSound = (vector: readonly number[]) => vector.length === size && vector.every(Number.isFinite);
  if (vectors.length === count && size !== undefined && size > 0 && vectors.every(isSound)) return vectors;
  throw new ServingError('backend_error', {
    message: 'The model’s backend did not answer with one vector for each text.',
  });
}
