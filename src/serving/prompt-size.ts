/** How large a prompt is before any tokenizer has seen it: an estimate of its tokens, and the bytes it takes up while it waits. */
import type { GenerationInput } from '../core/generation.ts';

/** Of English and of most code; of other scripts within a factor of two. Settled with the real number afterwards. */
const BYTES_PER_TOKEN = 4;
/** What a chat template puts around each message. */
const TOKENS_PER_MESSAGE = 4;
/** What an embedding model puts before and after each text. */
const TOKENS_PER_TEXT = 2;

export interface PromptSize {
  readonly tokens: number;
  readonly bytes: number;
}

/** Each text is read by itself. */
export function embeddingSizeOf(inputs: readonly string[]): PromptSize {
  let bytes = 0;
  for (const text of inputs) bytes += Buffer.byteLength(text);
  return { bytes, tokens: Math.ceil(bytes / BYTES_PER_TOKEN) + TOKENS_PER_TEXT * inputs.length };
}

export function promptSizeOf(input: GenerationInput): PromptSize {
  if (input.kind === 'text') {
    const bytes = Buffer.byteLength(input.prompt);
    return { bytes, tokens: Math.ceil(bytes / BYTES_PER_TOKEN) };
  }
  let bytes = 0;
  for (const { content } of input.messages) bytes += Buffer.byteLength(content);
  return { bytes, tokens: Math.ceil(bytes / BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE * input.messages.length };
}
