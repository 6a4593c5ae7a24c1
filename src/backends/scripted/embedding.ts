/** The scripted model's embeddings: a text's vector is made of its characters alone. Pure and deterministic. */
import type { EmbeddingRequest } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import { partFor, type Script } from './script.ts';
import { countTokens } from './words.ts';

const DIMENSIONS = 8;
const DECIMALS = 6;
/** Of the FNV-1a hash, 32 bits. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

export interface Texts {
  readonly script: Script;
  readonly texts: readonly string[];
  readonly promptTokens: number;
}

/** The first text may begin with a script. Throws where one is longer than the context. */
export function readTexts(
  { inputs, dimensions }: EmbeddingRequest,
  target: Script & { readonly context_size: number },
): Texts {
  if (dimensions !== undefined) throw unsupported('dimensions', 'the scripted backend');
  // Tokens of a made-up vocabulary are words that nobody knows.
  const [first = '', ...rest] = inputs.map((input) => (typeof input === 'string' ? input : input.join(' ')));
  const { script, prompt } = partFor({ kind: 'text', prompt: first }, target);
  const texts = [prompt, ...rest];
  let promptTokens = 0;
  for (const [index, text] of texts.entries()) {
    const tokens = Math.max(1, countTokens(text));
    if (tokens > target.context_size) throw tooLong({ index, tokens, contextSize: target.context_size });
    promptTokens += tokens;
  }
  return { script, texts, promptTokens };
}

/** Of length 1. */
export function vectorOf(text: string): number[] {
  const values = Array.from({ length: DIMENSIONS }, (_, dimension) => hash(`${dimension}:${text}`) - 0.5);
  const length = Math.hypot(...values);
  return values.map((value) => Number((value / length).toFixed(DECIMALS)));
}

/** From 0 to below 1. */
function hash(text: string): number {
  let bits = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1)
    bits = Math.imul(bits ^ text.charCodeAt(index), FNV_PRIME);
  // The last characters have hardly reached the high bits yet.
  bits = Math.imul(bits ^ (bits >>> 15), FNV_PRIME);
  return ((bits ^ (bits >>> 13)) >>> 0) / 2 ** 32;
}

function tooLong(of: { index: number; tokens: number; contextSize: number }): ServingError {
  return new ServingError('context_length_exceeded', {
    message: `Text ${of.index + 1} of the input has ${of.tokens} tokens, but the model’s context holds ${of.contextSize}. Shorten it.`,
    param: 'input',
  });
}
