/** The scripted model's language: a token is a word with the blank before it. Pure and deterministic. */
import type { GenerationInput } from '../../core/generation.ts';
import type { Part } from './script.ts';

const WORD = /\s*\S+/gu;

export function countTokens(text: string): number {
  return text.match(WORD)?.length ?? 0;
}

/** At least one, as in a real model. `prompt` is the last message without its directive. */
export function promptTokensOf(input: GenerationInput, prompt: string): number {
  let tokens = countTokens(prompt);
  if (input.kind === 'chat') {
    for (const message of input.messages.slice(0, -1)) tokens += countTokens(message.content);
  }
  return Math.max(1, tokens);
}

/** The words of the answer: the script's text, or the prompt's words over and over, beginning where the seed says. */
export function* wordsOf({ script, prompt }: Part, seed: number): Generator<string> {
  if (script.text !== undefined) {
    yield* script.text.match(WORD) ?? [script.text];
    return;
  }
  const words = prompt.match(/\S+/gu) ?? ['nothing'];
  for (let index = 0; index < script.tokens; index += 1) {
    const word = words[(index + seed) % words.length] ?? '';
    yield index === 0 ? word : ` ${word}`;
  }
}
