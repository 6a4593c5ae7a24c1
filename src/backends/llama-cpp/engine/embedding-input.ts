/** The tokens of what is to be embedded: special tokens written in a text are plain text, those the model wants around it are added. Pure. */
import type { EmbeddingInput, TokenizeRequest } from '../../../core/backend.ts';
import { ServingError } from '../../../core/errors.ts';
import type { EmbeddingModel, SpecialTokens } from './embedding-library.ts';
import { requireKnownTokens } from './known-tokens.ts';
import type { Token } from './library.ts';

type Frame = (tokens: SpecialTokens) => readonly [Token | null, Token | null];

/** What llama.cpp puts before and after a text, by the kind of vocabulary; most follow the file's own flags. */
const FRAMES: Readonly<Record<string, Frame>> = {
  wpm: ({ bos, sep }) => [bos, sep],
  ugm: ({ eos }) => [null, eos],
  rwkv: () => [null, null],
};

const byFlags: Frame = ({ bos, eos, shouldPrependBosToken, shouldAppendEosToken }) => [
  shouldPrependBosToken ? bos : null,
  shouldAppendEosToken ? eos : null,
];

type ReadingModel = Pick<EmbeddingModel, 'tokenize' | 'tokens' | 'vocabularyType'>;

/** Throws `invalid_request` for tokens that are none of the model’s. */
export function encodeInput(model: ReadingModel, vocabularySize: number, input: EmbeddingInput): Token[] {
  if (typeof input === 'string') return encodeText(model, input);
  // Whoever made the tokens knows what belongs around them.
  requireKnownTokens(input, vocabularySize, 'input');
  return [...input];
}

/** Tokens as an embedding would have them; throws `invalid_request` for a chat, which no such model has. */
export function encodeForEmbedding(model: ReadingModel, { input, addSpecial }: TokenizeRequest): Token[] {
  if (input.kind === 'chat') {
    const message = 'This model only makes embeddings, so it has no chat template: give a text instead.';
    throw new ServingError('invalid_request', { message, param: 'messages' });
  }
  if (input.kind === 'tokens') return [...input.tokens];
  return addSpecial === false ? model.tokenize(input.prompt, false) : encodeText(model, input.prompt);
}

export function encodeText(model: ReadingModel, text: string): Token[] {
  const [first, last] = (FRAMES[model.vocabularyType] ?? byFlags)(model.tokens);
  const before = first === null ? [] : [first];
  const after = last === null ? [] : [last];
  return [...before, ...model.tokenize(text, false), ...after];
}
