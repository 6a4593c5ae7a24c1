/**
 * What a model may be called: a name of the catalogue, a file of the hub (`hf:owner/repo/file.gguf`, optionally
 * `@revision`), an https address, or a path. Parsed strictly: what is none of these is refused, and no name can
 * point outside of the folder for models.
 */
import { ServingError } from '../core/errors.ts';
import { findModel, MODELS, type ModelEntry } from './catalog.ts';
import { type HubFile, parseHubFile } from './hub-file.ts';
import { type ParsedUrl, parseModelUrl } from './model-url.ts';

export type ModelReference =
  | { readonly kind: 'catalogue'; readonly entry: ModelEntry }
  | { readonly kind: 'hub'; readonly file: HubFile }
  | { readonly kind: 'url'; readonly url: ParsedUrl }
  | { readonly kind: 'path'; readonly path: string };

/** Throws ServingError('model_not_found'), whose message says what is wrong and which forms there are. */
export function parseReference(text: string): ModelReference {
  try {
    if (/^hf:/i.test(text)) return { kind: 'hub', file: parseHubFile(text.slice('hf:'.length)) };
    if (/^[a-z][a-z0-9+.-]+:\/\//i.test(text)) return { kind: 'url', url: parseModelUrl(text) };
  } catch (error) {
    throw new ServingError('model_not_found', {
      message: `The model name ${JSON.stringify(text)} ${(error as Error).message}.`,
    });
  }
  if (isModelPath(text)) return { kind: 'path', path: text };
  const entry = findModel(text);
  if (entry !== undefined) return { kind: 'catalogue', entry };
  throw unknownName(text);
}

function isModelPath(model: string): boolean {
  return /[/\\]/.test(model) || model.toLowerCase().endsWith('.gguf');
}

function unknownName(name: string): ServingError {
  const names = MODELS.map((known) => known.name).join(', ');
  return new ServingError('model_not_found', {
    message:
      `There is no model called ${JSON.stringify(name)} in the catalogue. Known names: ${names}. ` +
      'Or give hf:owner/repo/file.gguf, https://host/file.gguf, or the path of a GGUF file.',
  });
}
