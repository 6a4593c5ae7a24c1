/** The tokens of a text to embed: special tokens written in it are plain text, those the model wants around it are added. Pure. */
import type { EmbeddingInput } from '../../../core/backend.ts';
import type { EmbeddingModel, SpecialTokens } from './embedding-library.ts';
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

export function encodeText(
  model: Pick<EmbeddingModel, 'tokenize' | 'tokens' | 'vocabularyType'>,
  input: EmbeddingInput,
): Token[] {
  // Whoever made the tokens knows what belongs around them.
  if (typeof input !== 'string') return input as Token[];
  const [first, last] = (FRAMES[model.vocabularyType] ?? byFlags)(model.tokens);
  const before = first === null ? [] : [first];
  const after = last === null ? [] : [last];
  return [...before, ...model.tokenize(input, false), ...after];
}
