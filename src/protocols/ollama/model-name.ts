/** Model names as in Ollama: a name without a tag has the tag `latest`, and case makes no difference. */
import { ServingError } from '../../core/errors.ts';
import { invalid } from '../field-errors.ts';
import type { NameMatching } from '../protocol.ts';

const LATEST = ':latest';

/** `smollm2` → `smollm2:latest`; a name that has a tag stays as it is. */
export function withTag(name: string): string {
  return hasTag(name) ? name : name + LATEST;
}

/** For requests that must name a model. */
export function findRequired<Found>(
  name: string,
  find: (name: string, matching?: NameMatching) => Found,
): Found {
  if (name === '') throw invalid('model', 'model is required.');
  return findNamed(name, (given = name, matching) => find(given, matching));
}

/**
 * By the name as given, else by its other spelling, else by either in any case; without a name, the default model. Throws
 * `model_not_found` with the message that clients look for.
 */
export function findNamed<Found>(
  name: string,
  find: (name?: string, matching?: NameMatching) => Found,
): Found {
  if (name === '') return find();
  const spellings = [name, ...otherSpellings(name)];
  let notFound: ServingError | undefined;
  for (const anyCase of [false, true]) {
    for (const spelling of spellings) {
      try {
        return find(spelling, { anyCase });
      } catch (thrown) {
        if (!isNotFound(thrown)) throw thrown;
        notFound ??= thrown;
      }
    }
  }
  throw new ServingError('model_not_found', {
    message: `model '${name}' not found. ${notFound?.message}`,
    param: 'model',
  });
}

function otherSpellings(name: string): readonly string[] {
  if (name.toLowerCase().endsWith(LATEST)) return [name.slice(0, -LATEST.length)];
  return hasTag(name) ? [] : [name + LATEST];
}

/** A colon before the last slash belongs to a host. */
function hasTag(name: string): boolean {
  return name.lastIndexOf(':') > name.lastIndexOf('/');
}

function isNotFound(thrown: unknown): thrown is ServingError {
  return thrown instanceof ServingError && thrown.code === 'model_not_found';
}
