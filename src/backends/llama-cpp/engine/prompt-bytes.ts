/**
 * The longest text that can fit into a context, whatever its tokens are: longer ones are refused before they are
 * tokenized, which takes long. Loose, as most tokens are far shorter than the longest.
 */
import { ServingError } from '../../../core/errors.ts';
import type { Model } from './library.ts';
import { nativeModelOf } from './native.ts';
import { tokenBytes } from './token-bytes.ts';

/** Others may read a long text as one token: a word that they do not know, or white space. */
const EACH_BYTE_COUNTS: ReadonlySet<Model['vocabularyType']> = new Set(['bpe', 'spm']);

export interface PromptBytes {
  readonly contextSize: number;
  /** Of all that the context holds. */
  readonly most: number;
}

export function promptBytes(model: Model, contextSize: number): PromptBytes {
  if (!EACH_BYTE_COUNTS.has(model.vocabularyType)) return { contextSize, most: Number.POSITIVE_INFINITY };
  const native = nativeModelOf(model);
  const bytesOf = tokenBytes(model);
  let longest = 1;
  for (const token of model.iterateAllTokens()) {
    // A token is written with at least as many bytes as it stands for; to count these takes longer.
    if (Buffer.byteLength(native.getTokenString(token)) > longest)
      longest = Math.max(longest, bytesOf(token).length);
  }
  return { contextSize, most: contextSize * longest };
}

export function refuseBeyond({ contextSize, most }: PromptBytes, text: string, param: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes <= most) return;
  throw new ServingError('context_length_exceeded', {
    message:
      `The prompt has ${bytes} bytes, but the context holds ${contextSize} tokens, which are at most ${most} bytes, prompt ` +
      'and answer together: shorten the prompt, or have the server’s context_size raised.',
    param,
  });
}
