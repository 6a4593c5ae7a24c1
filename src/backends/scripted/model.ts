/** The scripted model: its words, how likely they are, and its embeddings. A token is a word with the blank before it. Deterministic. */
import type { EmbeddingRequest, GenerationSink } from '../../core/backend.ts';
import { ServingError } from '../../core/errors.ts';
import { unsupported } from '../../core/features.ts';
import type { GenerationInput, GenerationRequest, LikelyToken, TokenLogprob } from '../../core/generation.ts';
import { StopMatcher } from '../../core/stop-matcher.ts';
import { readScript, type Script, type ScriptedRequest } from './script.ts';

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

/** The words of the answer: the script's text, or the prompt's words repeated, starting at the seed. */
export function* wordsOf({ script, prompt }: ScriptedRequest, seed: number): Generator<string> {
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

/**
 * Passes on the text of one answer. Text that may become a stop string is held back, with its log-probabilities. Owned by one
 * generation.
 */
export class TextEmitter {
  readonly #sink: Pick<GenerationSink, 'event'>;
  readonly #stops: StopMatcher;
  readonly #top: number | undefined;
  #logprobs: TokenLogprob[] = [];

  constructor({ limits, logprobs }: GenerationRequest, sink: Pick<GenerationSink, 'event'>) {
    this.#sink = sink;
    this.#stops = new StopMatcher(limits.stop);
    this.#top = logprobs?.top;
  }

  /** Returns the stop string that ends the answer with this word, if one does. */
  push(word: string): string | undefined {
    if (this.#top !== undefined) this.#logprobs.push(logprobOf(word, this.#top));
    const { text, matched } = this.#stops.push(word);
    this.#emit(text);
    return matched;
  }

  /** The answer is over: no stop string can be completed any more. */
  end(): void {
    this.#emit(this.#stops.flush());
  }

  #emit(text: string): void {
    if (text === '') return;
    if (this.#top === undefined) {
      this.#sink.event({ type: 'text', text });
      return;
    }
    this.#sink.event({ type: 'text', text, logprobs: this.#logprobs });
    this.#logprobs = [];
  }
}

const VOCABULARY_SIZE = 50_000;

/** The chosen word has the probability 1/2, the next 1/4, and so on. */
function logprobOf(word: string, top: number): TokenLogprob {
  const others = Array.from({ length: Math.max(0, top - 1) }, (_, index) =>
    likelyToken(` other${index + 1}`, index + 1),
  );
  const chosen = likelyToken(word, 0);
  return { ...chosen, top: top === 0 ? [] : [chosen, ...others] };
}

function likelyToken(word: string, rank: number): LikelyToken {
  return { token: tokenOf(word), bytes: [...Buffer.from(word)], logprob: Math.log(2 ** -(rank + 1)) };
}

/** The same for the same word; two words may share one. */
function tokenOf(word: string): number {
  let token = 0;
  for (let index = 0; index < word.length; index += 1)
    token = (token * 31 + word.charCodeAt(index)) % VOCABULARY_SIZE;
  return token;
}

const DIMENSIONS = 8;
const DECIMALS = 6;
/** Of the FNV-1a hash, 32 bits. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

interface EmbeddingInputs {
  readonly script: Script;
  readonly texts: readonly string[];
  readonly promptTokens: number;
}

/** The first text may begin with a script. Throws if one is longer than the context. */
export function readEmbeddingInputs(
  { inputs, dimensions }: EmbeddingRequest,
  target: Script & { readonly context_size: number },
): EmbeddingInputs {
  if (dimensions !== undefined) throw unsupported('dimensions', 'the scripted backend');
  // A token id counts as a word.
  const [first = '', ...rest] = inputs.map((input) => (typeof input === 'string' ? input : input.join(' ')));
  const { script, prompt } = readScript({ kind: 'text', prompt: first }, target);
  const texts = [prompt, ...rest];
  let promptTokens = 0;
  for (const [index, text] of texts.entries()) {
    const tokens = Math.max(1, countTokens(text));
    if (tokens > target.context_size) throw tooLong({ index, tokens, contextSize: target.context_size });
    promptTokens += tokens;
  }
  return { script, texts, promptTokens };
}

/** A text's vector depends on its characters alone. Of length 1. */
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
  // Mixes the last characters into the high bits.
  bits = Math.imul(bits ^ (bits >>> 15), FNV_PRIME);
  return ((bits ^ (bits >>> 13)) >>> 0) / 2 ** 32;
}

function tooLong(of: { index: number; tokens: number; contextSize: number }): ServingError {
  return new ServingError('context_length_exceeded', {
    message: `Text ${of.index + 1} of the input has ${of.tokens} tokens, but the model’s context holds ${of.contextSize}. Shorten it.`,
    param: 'input',
  });
}
